// A node of one's own, for what is looked at and measured without a cluster: SQLite, in a temporary folder.

import { spawn } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TARGET = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target');

async function program() {
  for (const profile of ['release', 'debug']) {
    const found = path.join(TARGET, profile, 'switchboard');
    if (await access(found).then(() => true, () => false)) return found;
  }
  throw new Error('no switchboard in target: cargo build --bin switchboard');
}

/** The folder in which results are put, unless another is named. */
export const results = (name) => path.join(TARGET, name);

/** Those of SWITCHBOARD_URLS, or one that is started, whose users may write as fast as they can. */
export async function nodesOrOwn() {
  const urls = (process.env.SWITCHBOARD_URLS ?? '').split(',').filter(Boolean).map((url) => new URL(url).origin);
  if (urls.length > 0) return { urls, stop: async () => {} };
  const folder = await mkdtemp(path.join(tmpdir(), 'switchboard-'));
  const settings = {
    SWITCHBOARD_DATA_DIR: folder,
    SWITCHBOARD_LISTEN: '127.0.0.1:0',
    SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND: '1000000',
    SWITCHBOARD_LIMITS__MESSAGES_BURST: '1000000',
    SWITCHBOARD_LIMITS__CONNECTIONS_PER_USER: '1000',
    SWITCHBOARD_SERVER__DRAIN_QUIET_SECONDS: '0',
    SWITCHBOARD_LOG__LEVEL: 'warn',
  };
  const child = spawn(await program(), ['serve'], { env: { ...process.env, ...settings }, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const url = line.match(/http:\/\/\S+/)?.[0];
    if (!url) continue;
    child.stdout.resume();
    const stop = async () => {
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    };
    return { urls: [url], stop };
  }
  throw new Error('the node did not start');
}
