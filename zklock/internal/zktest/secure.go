package zktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A Secure server takes clients with TLS and a certificate at SecureAddr. At Addr
// it takes anybody.
type Secure struct {
	*Server

	SecureAddr string
	// CA is a file with the server's certificate, which nobody else has signed.
	CA string
	// Cert and Key are the files of the client that the server knows.
	Cert, Key string
	// ServerKey is the file of the server's key.
	ServerKey string
}

// StartSecure starts a server that is alone. It ends with the test.
func StartSecure(t testing.TB) *Secure {
	t.Helper()
	dir := t.TempDir()
	s := &Secure{CA: filepath.Join(dir, "server.pem"), Cert: filepath.Join(dir, "client.pem"), Key: filepath.Join(dir, "client-key.pem")}
	s.ServerKey = filepath.Join(dir, "server-key.pem")
	both := filepath.Join(dir, "server-both.pem") // The server wants them in one file.
	err := errors.Join(selfSigned(s.CA, s.ServerKey), selfSigned(s.Cert, s.Key))
	for _, file := range []string{s.ServerKey, s.CA} {
		text, readErr := os.ReadFile(file)
		err = errors.Join(err, readErr, appendTo(both, text))
	}
	if err != nil {
		t.Fatal(err)
	}
	if s.Server, err = newServer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.process.showLog(t, "zookeeper "+s.Addr)
		if err := s.discard(); err != nil {
			t.Error(err)
		}
	})
	const unused = 1 // It follows nobody.
	s.SecureAddr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.ports[unused]))
	err = s.configure(
		"serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
		"secureClientPort="+strconv.Itoa(s.ports[unused]), "secureClientPortAddress=127.0.0.1", "ssl.clientAuth=need",
		"ssl.keyStore.location="+both, "ssl.keyStore.type=PEM", "ssl.trustStore.location="+s.Cert, "ssl.trustStore.type=PEM",
	)
	if err = errors.Join(err, s.Again()); err != nil {
		t.Fatal(err)
	}
	return s
}

func appendTo(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// selfSigned writes a key, and a certificate for 127.0.0.1 that it signs itself.
func selfSigned(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: filepath.Base(certFile)},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}
