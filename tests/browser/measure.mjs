// How a thread moves while messages are added to it and taken away, as somebody sees it who reads there.

/**
 * Scrolls to one end, and looks at the message under the eye in each frame until there are messages beyond those that there
 * were. Runs in the page.
 */
function watch(scroller, { end, deadline }) {
  const articles = () => [...scroller.querySelectorAll('article.message[data-id]')];
  const outermost = () => articles().at(end === 'top' ? 0 : -1)?.dataset.id;
  scroller.scrollTop = end === 'top' ? 0 : scroller.scrollHeight;
  const box = scroller.getBoundingClientRect();
  const isSeen = (article) => article.getBoundingClientRect().bottom > box.top + 1 && article.getBoundingClientRect().top < box.bottom;
  const [eye, outer] = [articles().find(isSeen), outermost()];
  const place = () => eye.getBoundingClientRect().top;
  const [before, last] = [place(), Date.now() + deadline];
  let furthest = 0;
  let frames = 5;
  return new Promise((resolve) => {
    const look = () => {
      furthest = Math.max(furthest, eye.isConnected ? Math.abs(place() - before) : Infinity);
      const isMore = outermost() !== outer;
      if (isMore) frames -= 1;
      if (frames === 0 || Date.now() > last) resolve({ moved: furthest, isMore });
      // After the frame was drawn: what is mended before that, nobody sees.
      else requestAnimationFrame(() => setTimeout(look));
    };
    requestAnimationFrame(() => setTimeout(look));
  });
}

/**
 * Scrolls a thread to the end that it has so far, the `top` or the `bottom`. Tells by how many pixels what one reads `moved` when
 * more came in there, and whether there `isMore`; there is none where none comes within the deadline.
 */
export async function scrollTo(tab, end, deadline = 4_000) {
  return (await tab.scroller.elementHandle()).evaluate(watch, { end, deadline });
}

/** The ids of the messages that are in the document now, in the order of the document. */
export function shownIds(tab) {
  return tab.thread.locator('article.message[data-id]').evaluateAll((articles) => articles.map(({ dataset }) => Number(dataset.id)));
}

/** Whether a message is within what is seen of the thread. */
export function isInView(tab, id) {
  return tab.scroller.evaluate((scroller, id) => {
    const [box, place] = [scroller, scroller.querySelector(`article.message[data-id="${id}"]`)].map((element) => element?.getBoundingClientRect());
    return place !== undefined && place.bottom > box.top && place.top < box.bottom;
  }, id);
}

/**
 * Scrolls step by step, as fast as one could still see something, until a message is in view; after each step it looks at what is in
 * view for some frames. Runs in the page.
 */
async function step(scroller, { ids, goal, direction, deadline }) {
  const places = new Map(ids.map((id, at) => [id, at]));
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const articles = () => [...scroller.querySelectorAll('article.message[data-id]')];
  const idOf = ({ dataset }) => Number(dataset.id);
  const seen = new Set();
  const result = { moved: 0, held: 0, faults: [], steps: 0 };
  const inView = () => {
    const box = scroller.getBoundingClientRect();
    return articles().filter((article) => article.getBoundingClientRect().bottom > box.top + 1 && article.getBoundingClientRect().top < box.bottom - 1);
  };
  for (let waits = Date.now(), by = 0; Date.now() - waits < deadline; by = direction * scroller.clientHeight * 0.9) {
    scroller.scrollTop += by;
    await frame();
    const views = inView();
    const [before, eye] = [new Set(seen), views[0]];
    const place = eye?.getBoundingClientRect().top;
    const shown = views.map(idOf);
    for (const id of shown) seen.add(id);
    if (seen.size > before.size) waits = Date.now();
    if (shown.some((id, at) => at > 0 && places.get(id) !== places.get(shown[at - 1]) + 1)) result.faults.push(shown.join());
    const all = articles();
    result.held = Math.max(result.held, all.length);
    if (new Set(all.map(idOf)).size !== all.length) result.faults.push('doubled');
    if (shown.includes(goal)) break;
    await frame();
    // What was drawn a frame later is seen too.
    for (const article of inView()) seen.add(idOf(article));
    if (eye) result.moved = Math.max(result.moved, eye.isConnected ? Math.abs(eye.getBoundingClientRect().top - place) : Infinity);
    result.steps += 1;
  }
  return { ...result, seen: [...seen] };
}

/**
 * Scrolls through a thread of these messages until one of its ends, `ids[0]` or the last. Tells which were `seen`, by how many pixels one of
 * them `moved` by itself at most, how many were `held` in the document at most, and the `faults`: messages in view that do not belong
 * side by side.
 */
export async function scrollThrough(tab, ids, end, deadline = 10_000) {
  const how = { ids, goal: ids.at(end === 'top' ? 0 : -1), direction: end === 'top' ? -1 : 1, deadline };
  return (await tab.scroller.elementHandle()).evaluate(step, how);
}
