// SPDX-License-Identifier: Apache-2.0
// Keys that leave and enter: export, backup, import; checked by Go's own cryptography.
package client_go

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"testing"
)

func TestExport(t *testing.T) {
	write(t, "keys/out", fields{"exportable": true})
	write(t, "keys/out/rotate", nil)
	equal(t, len(read(t, "export/encryption-key/out")["keys"].(fields)), 2)
	equal(t, len(read(t, "export/encryption-key/out/latest")["keys"].(fields)), 1)
	equal(t, len(read(t, "export/hmac-key/out/1")["keys"].(fields)), 1)
	write(t, "keys/out-ec", fields{"type": "ecdsa-p256", "exportable": true})
	text := read(t, "export/signing-key/out-ec")["keys"].(fields)["1"].(string)
	block, _ := pem.Decode([]byte(text))
	if _, err := x509.ParseECPrivateKey(block.Bytes); err != nil {
		t.Error(err)
	}
	missing, err := client.Logical().Read("dev/export/encryption-key/missing")
	if missing != nil || err != nil {
		t.Errorf("an export of nothing is %v, %v", missing, err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	for _, kind := range []string{"aes256-gcm96", "ecdsa-p521", "rsa-2048"} {
		write(t, "keys/saved-"+kind, fields{"type": kind, "exportable": true,
			"allow_plaintext_backup": true})
		made := write(t, "hmac/saved-"+kind, fields{"input": b64("x")})["hmac"]
		backup := read(t, "backup/saved-"+kind)["backup"]
		refused(t, "restore", fields{"backup": backup}, 500, "already exists")
		write(t, "restore/again-"+kind, fields{"backup": backup})
		equal(t, write(t, "hmac/again-"+kind, fields{"input": b64("x")})["hmac"], made)
	}
}

func TestSoftDelete(t *testing.T) {
	write(t, "keys/soft", nil)
	if _, err := client.Logical().Delete("dev/keys/soft/soft-delete"); err != nil {
		t.Fatal(err)
	}
	refused(t, "encrypt/soft", fields{"plaintext": b64("x")}, 400, "refusing to use soft-deleted key")
	write(t, "keys/soft/soft-delete-restore", nil)
	hasPrefix(t, write(t, "encrypt/soft", fields{"plaintext": b64("x")})["ciphertext"], "vault:v1:")
}

// wrapPadded is AES key wrap with padding (RFC 5649) for more than eight bytes.
func wrapPadded(t *testing.T, block cipher.Block, key []byte) []byte {
	t.Helper()
	blocks := (len(key) + 7) / 8
	out := make([]byte, 8+8*blocks)
	copy(out, []byte{0xA6, 0x59, 0x59, 0xA6})
	binary.BigEndian.PutUint32(out[4:], uint32(len(key)))
	copy(out[8:], key)
	buffer := make([]byte, 16)
	for round := 0; round < 6; round++ {
		for i := 1; i <= blocks; i++ {
			copy(buffer, out[:8])
			copy(buffer[8:], out[8*i:8*i+8])
			block.Encrypt(buffer, buffer)
			counter := binary.BigEndian.Uint64(buffer) ^ uint64(round*blocks+i)
			binary.BigEndian.PutUint64(out, counter)
			copy(out[8*i:], buffer[8:])
		}
	}
	return out
}

func importBlob(t *testing.T, key []byte) string {
	t.Helper()
	text := read(t, "wrapping_key")["public_key"].(string)
	decoded, _ := pem.Decode([]byte(text))
	wrapping, err := x509.ParsePKIXPublicKey(decoded.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ephemeral := make([]byte, 32)
	rand.Read(ephemeral)
	first, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, wrapping.(*rsa.PublicKey), ephemeral, nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(append(first, wrapPadded(t, block, key)...))
}

// opens wants what the service sealed to open with the key outside of it.
func opens(t *testing.T, key, sealed []byte, text string) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := gcm.Open(nil, sealed[:12], sealed[12:], nil)
	if err != nil || string(opened) != text {
		t.Errorf("%s, %v", opened, err)
	}
}

func TestImport(t *testing.T) {
	key := make([]byte, 32)
	rand.Read(key)
	write(t, "keys/in/import", fields{"type": "aes256-gcm96", "ciphertext": importBlob(t, key)})
	sealed := payload(t, write(t, "encrypt/in", fields{"plaintext": b64("hello")})["ciphertext"])
	opens(t, key, sealed, "hello")
	write(t, "keys/in/import_version", fields{"ciphertext": importBlob(t, key)})
	equal(t, read(t, "keys/in")["latest_version"], 2)
}

func TestByokExport(t *testing.T) {
	public := read(t, "wrapping_key")["public_key"]
	write(t, "keys/target/import", fields{"type": "rsa-4096", "public_key": public})
	write(t, "keys/source", fields{"exportable": true})
	sealed := write(t, "encrypt/source", fields{"plaintext": b64("hello")})["ciphertext"]
	blob := read(t, "byok-export/target/source/1")["keys"].(fields)["1"]
	write(t, "keys/moved/import", fields{"type": "aes256-gcm96", "ciphertext": blob})
	equal(t, write(t, "decrypt/moved", fields{"ciphertext": sealed})["plaintext"], b64("hello"))
}
