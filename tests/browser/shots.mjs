// Takes the pictures of `shots`: a lively inbox of one user, seen by each kind of screen.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Line } from './line.mjs';
import { nodesOrOwn, results } from './node.mjs';
import { Person, launch } from './people.mjs';
import { Scene } from './scene.mjs';
import { FIRST_VIEWS, SCHEMES, SIZES, VIEWS } from './views.mjs';

const [folder = results('shots'), ...wanted] = process.argv.slice(2);

let failures = 0;

/** Waits for the pictures that are in view; runs in the page. */
function picturesInView() {
  const isInView = (image) => image.checkVisibility() && image.getBoundingClientRect().bottom > 0 && image.getBoundingClientRect().top < innerHeight;
  const end = (image) => image.complete || new Promise((resolve) => (image.onload = image.onerror = resolve));
  return Promise.all([...document.images].filter(isInView).map(end));
}

async function shoot(name, suffix, { page }, prepare) {
  if (wanted.length > 0 && !wanted.includes(name)) return;
  let undo;
  try {
    undo = await prepare();
  } catch (error) {
    failures += 1;
    console.error(`${name}-${suffix}: ${error.message.split('\n').slice(0, 3).join(' ')}`);
  }
  await page.evaluate(picturesInView);
  // Once what moves has come to rest.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));
  await page.screenshot({ path: path.join(folder, `${name}-${suffix}.png`) });
  await undo?.().catch?.((error) => console.error(`after ${name}-${suffix}: ${error.message.split('\n')[0]}`));
}

async function shootAll(browser, scene, size, colorScheme) {
  const [suffix, options] = [`${size}-${colorScheme}`, { viewport: SIZES[size], colorScheme }];
  const stranger = await Person.stranger(browser, scene.url, 'Nobody', options);
  for (const [name, prepare] of Object.entries(FIRST_VIEWS)) await shoot(name, suffix, stranger, () => prepare(stranger));
  const newcomer = await Person.at(browser, scene.newcomer, options);
  await shoot('inbox-empty', suffix, newcomer, () => newcomer.page.getByRole('tab', { name: 'Inbox' }).waitFor());
  const line = await Line.to(scene.url);
  const maria = await Person.at(browser, scene.maria, { ...options, url: line.url });
  maria.context.setDefaultTimeout(8_000);
  await scene.routeTimes(maria.context);
  await scene.tom.request('PUT', `/blocks/${scene.maria.id}`);
  await maria.page.reload();
  await maria.isLive();
  for (const [name, prepare] of Object.entries(VIEWS)) {
    await shoot(name, suffix, maria, () => prepare({ maria, scene, line, isWide: size === 'wide' }));
  }
  for (const person of [stranger, newcomer, maria]) await person.context.close();
  line.close();
}

await mkdir(folder, { recursive: true });
const [node, browser] = await Promise.all([nodesOrOwn(), launch()]);
try {
  const scene = await Scene.set(node.urls[0]);
  for (const who of [scene.jonas, scene.aisha]) await who.comeOnline();
  for (const size of Object.keys(SIZES)) for (const scheme of SCHEMES) await shootAll(browser, scene, size, scheme);
  for (const who of [scene.jonas, scene.aisha]) who.leave();
  console.log(folder);
} finally {
  await browser.close();
  await node.stop();
}
process.exitCode = failures > 0 ? 1 : 0;
