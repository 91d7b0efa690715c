// SPDX-License-Identifier: Apache-2.0
// node-vault, a JavaScript client written for Vault, unmodified, against the real kmsd.
// Usage: node client_node_vault.js PATH_OF_KMSD DIRECTORY_WITH_NODE_MODULES
'use strict';
const assert = require('assert');
const crypto = require('crypto');
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
  async 'its helpers for Transit, all of them'(vault) {
    const made = await vault.transitCreateKey({ name: 'helped', type: 'aes256-gcm96', derived: true,
      exportable: true });
    assert.strictEqual(made.data.name, 'helped');
    const info = (await vault.transitReadKey({ name: 'helped' })).data;
    assert.deepStrictEqual([info.derived, info.exportable], [true, true]);
    assert.ok((await vault.transitListKeys()).data.keys.includes('helped'));
    const context = base64('tenant-42');
    const { ciphertext } = (await vault.encryptData(
      { name: 'helped', plaintext: base64('hello'), context })).data;
    const moved = (await vault.rewrapData({ name: 'helped', ciphertext, context })).data;
    const opened = await vault.decryptData(
      { name: 'helped', ciphertext: moved.ciphertext, context });
    assert.strictEqual(opened.data.plaintext, base64('hello'));
    await assert.rejects(vault.transitDeleteKey({ name: 'helped' }), /deletion is not allowed/);
    await vault.write('transit/keys/helped/config', { deletion_allowed: true });
    await vault.transitDeleteKey({ name: 'helped' });
    await assert.rejects(vault.transitReadKey({ name: 'helped' }), /404/);
  },
  async 'batches, and one with a bad item'(vault) {
    const plain = ['a', 'b', 'c'].map((text) => ({ plaintext: base64(text), reference: text }));
    const results = async (answer) => (await answer).data.batch_results;
    const sealed = await results(vault.encryptData({ name: 'app', batch_input: plain }));
    assert.deepStrictEqual(sealed.map((item) => item.reference), ['a', 'b', 'c']);
    const batch = sealed.map(({ ciphertext }) => ({ ciphertext }));
    const opened = await results(vault.decryptData({ name: 'app', batch_input: batch }));
    assert.deepStrictEqual(opened.map((item) => item.plaintext),
      plain.map((item) => item.plaintext));
    const mixed = [...batch, { ciphertext: 'vault:v1:AAAA' }];
    await assert.rejects(vault.decryptData({ name: 'app', batch_input: mixed }),
      (error) => error.response.statusCode === 400);
    const partly = await results(vault.decryptData(
      { name: 'app', batch_input: mixed, partial_failure_response_code: 200 }));
    assert.strictEqual(partly[0].plaintext, base64('a'));
    assert.ok(partly[3].error);
  },
  async 'random, hash and HMAC'(vault) {
    const bytes = (await vault.write('dev/random/seal/48', {})).data.random_bytes;
    assert.strictEqual(Buffer.from(bytes, 'base64').length, 48);
    const { sum } = (await vault.write('dev/hash/sha2-512', { input: base64('abc') })).data;
    assert.strictEqual(sum, crypto.createHash('sha512').update('abc').digest('hex'));
    const { hmac } = (await vault.write('dev/hmac/one', { input: base64('abc') })).data;
    const checked = await vault.write('dev/verify/one', { input: base64('abc'), hmac });
    assert.strictEqual(checked.data.valid, true);
  },
  async 'signatures that Node accepts'(vault) {
    for (const type of ['ecdsa-p256', 'rsa-2048']) {
      await vault.write(`staging/keys/${type}`, { type });
      const info = (await vault.read(`staging/keys/${type}`)).data;
      const { signature } = (await vault.write(`staging/sign/${type}`,
        { input: base64('hello'), signature_algorithm: 'pkcs1v15' })).data;
      assert.ok(crypto.verify('sha256', Buffer.from('hello'), info.keys['1'].public_key,
        Buffer.from(signature.split(':')[2], 'base64')));
      const checked = await vault.write(`staging/verify/${type}`,
        { input: base64('hello'), signature, signature_algorithm: 'pkcs1v15' });
      assert.strictEqual(checked.data.valid, true);
    }
  },
  async 'export, backup and restore'(vault) {
    await vault.write('staging/keys/out', { exportable: true, allow_plaintext_backup: true });
    const { ciphertext } =
      (await vault.write('staging/encrypt/out', { plaintext: base64('hello') })).data;
    const sealed = Buffer.from(ciphertext.split(':')[2], 'base64');
    const exported = (await vault.read('staging/export/encryption-key/out')).data.keys['1'];
    const decipher = crypto.createDecipheriv('aes-256-gcm', Buffer.from(exported, 'base64'),
      sealed.subarray(0, 12));
    decipher.setAuthTag(sealed.subarray(-16));
    const text = decipher.update(sealed.subarray(12, -16), undefined, 'utf8');
    assert.strictEqual(text + decipher.final('utf8'), 'hello');
    const { backup } = (await vault.read('staging/backup/out')).data;
    await vault.write('staging/restore/back', { backup });
    const opened = await vault.write('staging/decrypt/back', { ciphertext });
    assert.strictEqual(opened.data.plaintext, base64('hello'));
    await assert.rejects(vault.write('staging/restore', { backup }), /already exists/);
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
