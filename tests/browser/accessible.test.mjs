// Each view of the page, wide and narrow, light and dark, looked over by axe; and what axe does not see: that nothing scrolls
// sideways, and nothing moves for those who do not want it.
//
//     SWITCHBOARD_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 node --test accessible.test.mjs

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Line } from './line.mjs';
import { Person, launch, nodes } from './people.mjs';
import { Scene } from './scene.mjs';
import { FIRST_VIEWS, SCHEMES, SIZES, VIEWS } from './views.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** The colours of names. */
const HUES = 8;
const OPTIONS = { resultTypes: ['violations'] };

let browser, scene;

before(async () => {
  browser = await launch();
  scene = await Scene.set(nodes()[0]);
  await scene.jonas.comeOnline();
  await scene.tom.request('PUT', `/blocks/${scene.maria.id}`);
});

after(async () => {
  scene?.jonas.leave();
  await browser?.close();
});

/** Lets axe look from a world of its own, as an extension would: the policy of the page stays as it is. */
async function violations(page, options = OPTIONS) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const world = { frameId: frameTree.frame.id, worldName: 'axe' };
  const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', world);
  const run = async (expression) => {
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression, contextId, awaitPromise: true, returnByValue: true });
    assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description);
    return result.value;
  };
  await run(`${axe}; undefined`);
  const found = await run(`axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations)`);
  await session.detach();
  return found.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${target.join(' ')}: ${failureSummary.split('\n').slice(1).join(';').trim()}`));
}

/** Once what moves has come to rest: what fades in has no contrast yet. */
const atRest = (page) => page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));

/** Looks a view over; what it finds goes into `found`, with the views where it did. */
async function look(found, name, { page }, prepare) {
  const add = (fault) => found.set(fault, [...(found.get(fault) ?? []), name]);
  let undo;
  try {
    undo = await prepare();
    await atRest(page);
    for (const violation of await violations(page)) add(violation);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (sideways > 0) add(`it scrolls sideways by ${sideways} px`);
  } catch (error) {
    add(error.message.split('\n')[0]);
  }
  await undo?.();
}

for (const size of Object.keys(SIZES)) {
  for (const colorScheme of SCHEMES) {
    test(`axe finds nothing in any view, ${size} and ${colorScheme}`, async () => {
      const options = { viewport: SIZES[size], colorScheme };
      const found = new Map();
      const stranger = await Person.stranger(browser, scene.url, 'Nobody', options);
      for (const [name, prepare] of Object.entries(FIRST_VIEWS)) await look(found, name, stranger, () => prepare(stranger));
      const newcomer = await Person.at(browser, scene.newcomer, options);
      await look(found, 'inbox-empty', newcomer, () => newcomer.page.getByRole('tab', { name: 'Inbox' }).waitFor());
      const line = await Line.to(scene.url);
      const maria = await Person.at(browser, scene.maria, { ...options, url: line.url });
      for (const [name, prepare] of Object.entries(VIEWS)) {
        await look(found, name, maria, () => prepare({ maria, scene, line, isWide: size === 'wide' }));
      }
      for (const person of [stranger, newcomer, maria]) {
        await person.behavedWell();
        await person.context.close();
      }
      line.close();
      assert.deepEqual(Object.fromEntries(found), {});
    });
  }
}

test('names in each of their colours can be read, also where they are quoted', async () => {
  for (const colorScheme of SCHEMES) {
    const maria = await Person.at(browser, scene.maria, { colorScheme });
    await maria.go(`#/c/${scene.thread}`);
    const name = maria.thread.locator('.own .quote .sender').last();
    await name.waitFor();
    const [hue] = await name.evaluate((element) => [...element.classList].filter((one) => one.startsWith('hue-')));
    for (let nth = 0; nth < HUES; nth += 1) {
      const options = { ...OPTIONS, runOnly: ['color-contrast'] };
      await maria.page.evaluate(([from, to]) => document.querySelectorAll(`.${from}`).forEach(({ classList }) => classList.replace(from, to)), [nth ? `hue-${nth - 1}` : hue, `hue-${nth}`]);
      assert.deepEqual(await violations(maria.page, options), [], `${colorScheme} ${nth}`);
    }
    await maria.context.close();
  }
});

test('nothing moves for those who do not want it', async () => {
  const maria = await Person.at(browser, scene.maria, { reducedMotion: 'reduce' });
  const moving = () =>
    maria.page.evaluate(() => document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime > 20).map(({ animationName, transitionProperty }) => animationName ?? transitionProperty));
  await maria.go(`#/c/${scene.thread}`);
  await maria.message('ok').waitFor();
  assert.deepEqual(await moving(), []);
  await scene.jonas.types(scene.maria);
  await scene.jonas.send(scene.maria, 'Moving');
  await maria.message('Moving').waitFor();
  assert.deepEqual(await moving(), []);
  const { profile } = VIEWS;
  await profile({ maria });
  assert.deepEqual(await moving(), []);
  await maria.context.close();
});
