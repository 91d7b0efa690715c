// SPDX-License-Identifier: Apache-2.0
// Certificates and key agreement, the other side being Go's own cryptography.
package client_go

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestCertificateRequest(t *testing.T) {
	write(t, "keys/csr", fields{"type": "ecdsa-p256"})
	text := write(t, "keys/csr/csr", nil)["csr"].(string)
	block, _ := pem.Decode([]byte(text))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.CheckSignature(); err != nil {
		t.Error(err)
	}
}

// certificateFor is signed by nobody but the authority that it comes with: leaf first, as PEM.
func certificateFor(t *testing.T, public interface{}) string {
	t.Helper()
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: now, NotAfter: now.Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: now, NotAfter: now.Add(time.Hour)}
	chain := ""
	for _, made := range []struct {
		template *x509.Certificate
		public   interface{}
	}{{leaf, public}, {root, authority.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, made.template, root, made.public, authority)
		if err != nil {
			t.Fatal(err)
		}
		chain += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return chain
}

func TestSetCertificate(t *testing.T) {
	write(t, "keys/certified", fields{"type": "rsa-2048"})
	chain := certificateFor(t, publicKey(t, "certified"))
	write(t, "keys/certified/set-certificate", fields{"certificate_chain": chain})
	exported := read(t, "export/certificate-chain/certified")["keys"].(fields)["1"]
	equal(t, strings.TrimSpace(exported.(string)), strings.TrimSpace(chain))
	write(t, "keys/other", fields{"type": "rsa-2048"})
	refused(t, "keys/other/set-certificate", fields{"certificate_chain": chain}, 400,
		"leaf certificate public key does not match the selected key version")
}

// Both sides of an agreement make the same key: what one encrypts, Go opens with its own half.
func TestDeriveKey(t *testing.T) {
	write(t, "keys/agreement", fields{"type": "ecdsa-p256"})
	mine, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(mine.Public())
	if err != nil {
		t.Fatal(err)
	}
	write(t, "derive-key/agreed", fields{"key_derivation_algorithm": "ecdh",
		"base_key_name": "agreement", "derived_key_type": "aes256-gcm96",
		"peer_public_key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	theirs, err := publicKey(t, "agreement").(*ecdsa.PublicKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := mine.ECDH(theirs)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "", 32)
	if err != nil {
		t.Fatal(err)
	}
	sealed := write(t, "encrypt/agreed", fields{"plaintext": b64("hello")})["ciphertext"]
	opens(t, key, payload(t, sealed), "hello")
}
