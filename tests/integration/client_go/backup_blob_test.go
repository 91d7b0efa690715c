// SPDX-License-Identifier: Apache-2.0
// The blobs of backups as Go's JSON, big integers and RSA keys read and write them, which is how
// Vault and OpenBao store keys.
package client_go

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"
)

type blobVersion struct {
	Key               []byte          `json:"key"`
	HMACKey           []byte          `json:"hmac_key"`
	Time              time.Time       `json:"time"`
	EcX               *big.Int        `json:"ec_x"`
	EcY               *big.Int        `json:"ec_y"`
	EcD               *big.Int        `json:"ec_d"`
	RsaKey            *rsa.PrivateKey `json:"rsa_key"`
	RsaPublicKey      *rsa.PublicKey  `json:"rsa_public_key"`
	PublicKey         string          `json:"public_key"`
	ConvergentVersion int             `json:"convergent_version"`
	CreationTime      int64           `json:"creation_time"`
	CertificateChain  [][]byte        `json:"certificate_chain"`
}

type blobPolicy struct {
	Name                string                 `json:"name"`
	KeySize             int                    `json:"key_size,omitempty"`
	Keys                map[string]blobVersion `json:"keys"`
	Derived             bool                   `json:"derived"`
	KDF                 int                    `json:"kdf"`
	Convergent          bool                   `json:"convergent_encryption"`
	Exportable          bool                   `json:"exportable"`
	MinDecryption       int                    `json:"min_decryption_version"`
	MinEncryption       int                    `json:"min_encryption_version"`
	Latest              int                    `json:"latest_version"`
	Archive             int                    `json:"archive_version"`
	ArchiveMin          int                    `json:"archive_min_version"`
	MinAvailable        int                    `json:"min_available_version"`
	DeletionAllowed     bool                   `json:"deletion_allowed"`
	ConvergentVersion   int                    `json:"convergent_version"`
	Type                int                    `json:"type"`
	BackupInfo          *blobStamp             `json:"backup_info"`
	RestoreInfo         *blobStamp             `json:"restore_info"`
	AllowBackup         bool                   `json:"allow_plaintext_backup"`
	AutoRotatePeriod    time.Duration          `json:"auto_rotate_period"`
	Imported            bool
	AllowImportRotation bool `json:"AllowImportedKeyRotation"`
}

type blobStamp struct {
	Time    time.Time `json:"time"`
	Version int       `json:"version"`
}

type blob struct {
	Policy   *blobPolicy `json:"policy"`
	Archived struct {
		Keys []blobVersion `json:"keys"`
	} `json:"archived_keys"`
}

func decodeBlob(t *testing.T, text string) blob {
	t.Helper()
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var read blob
	if err := json.Unmarshal(decoded, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func backUp(t *testing.T, kind string) (string, blob) {
	t.Helper()
	name := "blob-" + kind
	write(t, "keys/"+name, fields{"type": kind, "exportable": true, "allow_plaintext_backup": true,
		"auto_rotate_period": "48h"})
	write(t, "keys/"+name+"/rotate", nil)
	read := decodeBlob(t, read(t, "backup/"+name)["backup"].(string))
	equal(t, read.Policy.Name, name)
	equal(t, read.Policy.Latest, 2)
	equal(t, read.Policy.AutoRotatePeriod, 48*time.Hour)
	equal(t, read.Policy.BackupInfo.Version, 2)
	equal(t, len(read.Policy.Keys), 2)
	equal(t, len(read.Archived.Keys), 3) // the place of version 0 is empty
	equal(t, read.Archived.Keys[0].Key == nil, true)
	if time.Since(read.Policy.Keys["2"].Time) > time.Hour {
		t.Errorf("version 2 is of %v", read.Policy.Keys["2"].Time)
	}
	return name, read
}

func TestGoReadsARawKey(t *testing.T) {
	name, read := backUp(t, "aes256-gcm96")
	sealed := payload(t, write(t, "encrypt/"+name, fields{"plaintext": b64("hello")})["ciphertext"])
	opens(t, read.Policy.Keys["2"].Key, sealed, "hello")
	opens(t, read.Archived.Keys[2].Key, sealed, "hello")
}

func TestGoReadsAnRsaKey(t *testing.T) {
	name, read := backUp(t, "rsa-2048")
	key := read.Policy.Keys["2"].RsaKey
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	sealed := payload(t, write(t, "encrypt/"+name, fields{"plaintext": b64("hello")})["ciphertext"])
	opened, err := rsa.DecryptOAEP(sha256.New(), nil, key, sealed, nil)
	if err != nil || string(opened) != "hello" {
		t.Errorf("%s, %v", opened, err)
	}
}

func TestGoReadsAnEcKey(t *testing.T) {
	name, read := backUp(t, "ecdsa-p384")
	version := read.Policy.Keys["2"]
	key := ecdsa.PrivateKey{D: version.EcD,
		PublicKey: ecdsa.PublicKey{Curve: elliptic.P384(), X: version.EcX, Y: version.EcY}}
	equal(t, key.PublicKey.Equal(publicKeyOf(t, name, "2")), true)
	digest := sha256.Sum256([]byte("hello"))
	signature, err := ecdsa.SignASN1(rand.Reader, &key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	verdict := write(t, "verify/"+name, fields{"input": b64("hello"),
		"signature": "vault:v2:" + base64.StdEncoding.EncodeToString(signature)})
	equal(t, verdict["valid"], true)
}

func TestGoReadsAnEd25519Key(t *testing.T) {
	name, read := backUp(t, "ed25519")
	signature := ed25519.Sign(ed25519.PrivateKey(read.Policy.Keys["2"].Key), []byte("hello"))
	verdict := write(t, "verify/"+name, fields{"input": b64("hello"),
		"signature": "vault:v2:" + base64.StdEncoding.EncodeToString(signature)})
	equal(t, verdict["valid"], true)
}

// restoreGo restores what Go wrote and returns the name.
func restoreGo(t *testing.T, number int, version blobVersion) string {
	t.Helper()
	name := "go-" + version.Time.Format("150405.000000000")
	hmac := make([]byte, 32)
	rand.Read(hmac)
	version.HMACKey = hmac
	policy := blobPolicy{Name: name, Keys: map[string]blobVersion{"1": version}, Exportable: true,
		MinDecryption: 1, Latest: 1, Archive: 1, Type: number, AllowBackup: true}
	made := blob{Policy: &policy}
	made.Archived.Keys = []blobVersion{{}, version}
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "restore", fields{"backup": base64.StdEncoding.EncodeToString(append(text, '\n'))})
	return name
}

func TestRestoreOfGosRsaKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	name := restoreGo(t, 9, blobVersion{Time: time.Now().UTC(), RsaKey: key})
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, []byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := write(t, "decrypt/"+name,
		fields{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(sealed)})
	equal(t, opened["plaintext"], b64("hello"))
}

func TestRestoreOfGosEcKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := restoreGo(t, 7, blobVersion{Time: time.Now().UTC(), EcX: key.X, EcY: key.Y, EcD: key.D})
	equal(t, key.PublicKey.Equal(publicKey(t, name)), true)
	signature := payload(t, write(t, "sign/"+name, fields{"input": b64("hello")})["signature"])
	digest := sha256.Sum256([]byte("hello"))
	equal(t, ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature), true)
}

func TestRestoreOfGosEd25519Key(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := restoreGo(t, 2, blobVersion{Time: time.Now().UTC(), Key: private,
		PublicKey: base64.StdEncoding.EncodeToString(public)})
	signature := payload(t, write(t, "sign/"+name, fields{"input": b64("hello")})["signature"])
	equal(t, ed25519.Verify(public, []byte("hello"), signature), true)
}
