// SPDX-License-Identifier: Apache-2.0
// node-vault, a JavaScript client written for Vault, unmodified, against the real kmsd.
// Usage: node client_node_vault.js PATH_OF_KMSD DIRECTORY_WITH_NODE_MODULES
'use strict';
const assert = require('assert');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawn } = require('child_process');
const { createRequire } = require('module');

const [kmsd, modules] = process.argv.slice(2);
const nodeVault = createRequire(path.join(modules, 'package.json'))('node-vault');
const base64 = (text) => Buffer.from(text).toString('base64');

function start(state) {
  const child = spawn(kmsd, ['dev', '--listen', '127.0.0.1:0', '--state-dir', state],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const found = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(text);
      if (found) resolve({ child, address: found[1] });
    });
    child.on('exit', (code) => reject(new Error(`kmsd ended with ${code}`)));
  });
}

const cases = {
  async 'status and health'(vault) {
    assert.strictEqual((await vault.status()).sealed, false);
    assert.strictEqual((await vault.initialized()).initialized, true);
    assert.strictEqual((await vault.health()).sealed, false);
  },
  async 'encrypt, rotate, rewrap and decrypt on the fixed mount'(vault) {
    await vault.write('transit/keys/app', {});
    const first = (await vault.encryptData({ name: 'app', plaintext: base64('hello') })).data;
    assert.match(first.ciphertext, /^vault:v1:/);
    await vault.write('transit/keys/app/rotate', {});
    const second =
      (await vault.write('transit/rewrap/app', { ciphertext: first.ciphertext })).data;
    assert.match(second.ciphertext, /^vault:v2:/);
    for (const { ciphertext } of [first, second]) {
      const opened = await vault.decryptData({ name: 'app', ciphertext });
      assert.strictEqual(opened.data.plaintext, base64('hello'));
    }
  },
  async 'data keys'(vault) {
    await vault.write('dev/keys/wrapping', {});
    const made = (await vault.write('dev/datakey/plaintext/wrapping', { bits: 512 })).data;
    assert.strictEqual(Buffer.from(made.plaintext, 'base64').length, 64);
    const opened = await vault.write('dev/decrypt/wrapping', { ciphertext: made.ciphertext });
    assert.strictEqual(opened.data.plaintext, made.plaintext);
  },
  async 'list with the LIST verb'(vault) {
    await vault.write('dev/keys/one', {});
    await vault.write('dev/keys/two', {});
    assert.deepStrictEqual((await vault.list('dev/keys')).data.keys, ['one', 'two', 'wrapping']);
  },
  async 'mounts'(vault) {
    await vault.mount({ mount_point: 'js', type: 'transit', description: 'made by node-vault' });
    assert.strictEqual((await vault.mounts()).data['js/'].description, 'made by node-vault');
    await vault.unmount({ mount_point: 'js' });
    assert.strictEqual((await vault.mounts()).data['js/'], undefined);
  },
  async 'errors carry status and text'(vault) {
    await assert.rejects(vault.read('dev/keys/missing'), (error) => error.response.statusCode === 404);
    await assert.rejects(vault.write('dev/decrypt/one', { ciphertext: 'vault:v9:AAAA' }),
      /version is too new/);
  },
  async 'token lookup'(vault) {
    assert.deepStrictEqual((await vault.tokenLookupSelf()).data.policies, ['root']);
  },
};

(async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kms-node-'));
  const state = path.join(directory, 'state');
  const { child, address } = await start(state);
  const token = fs.readFileSync(path.join(state, 'root-token'), 'ascii').trim();
  const vault = nodeVault({ endpoint: address, token });
  let failed = 0;
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run(vault);
      console.log(`ok   ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}: ${error.stack}`);
    }
  }
  child.removeAllListeners('exit');
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGTERM');
  const status = await ended;
  fs.rmSync(directory, { recursive: true });
  if (status !== 0) {
    console.log(`kmsd ended with ${status}`);
    failed += 1;
  }
  process.exit(failed === 0 ? 0 : 1);
})();
