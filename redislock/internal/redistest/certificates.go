package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates are files in PEM form, made for one server.
type Certificates struct {
	// CA is the certificate of the authority that signed the others.
	CA string
	// Cert and Key are a client's certificate and its key.
	Cert, Key string

	server, serverKey string
}

// newCertificates makes an authority, a certificate for a server at 127.0.0.1
// and one for its clients.
func newCertificates(dir string) (*Certificates, error) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	c := &Certificates{CA: filepath.Join(dir, "ca.pem")}
	if err := sign(c.CA, "", ca, ca, caKey, caKey); err != nil {
		return nil, err
	}
	leaf := func(name string, usage x509.ExtKeyUsage) (cert, key string, err error) {
		cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", "", fmt.Errorf("make certificates: %w", err)
		}
		return cert, key, sign(cert, key, &x509.Certificate{
			SerialNumber: big.NewInt(2 + int64(usage)), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		}, ca, own, caKey)
	}
	if c.server, c.serverKey, err = leaf("server", x509.ExtKeyUsageServerAuth); err != nil {
		return nil, err
	}
	c.Cert, c.Key, err = leaf("client", x509.ExtKeyUsageClientAuth)
	return c, err
}

// sign writes a certificate of own, and own itself if keyFile is given.
func sign(certFile, keyFile string, cert, parent *x509.Certificate, own, signer *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &own.PublicKey, signer)
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	if keyFile == "" {
		return nil
	}
	der, err = x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	return nil
}
