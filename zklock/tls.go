package zklock

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/stilelock/stile/driver"
)

// tlsFiles are what a store URL says of TLS.
type tlsFiles struct {
	ca, cert, key string // files
	serverName    string
	wanted        string // "true", "false", or "" if the URL does not say
}

// config reads the files. It is nil without TLS.
// Its errors are driver.ErrInvalid and name the file.
func (t *tlsFiles) config() (*tls.Config, error) {
	needs := t.ca != "" || t.cert != "" || t.key != "" || t.serverName != ""
	switch {
	case t.wanted != "" && t.wanted != "true" && t.wanted != "false":
		return nil, fmt.Errorf("read query key %q: %w: want true or false", "tls", driver.ErrInvalid)
	case t.wanted == "false" && needs:
		return nil, fmt.Errorf("read query: %w: tls=false contradicts ca, cert, key and server_name", driver.ErrInvalid)
	case (t.cert == "") != (t.key == ""):
		return nil, fmt.Errorf("read query: %w: cert and key go together: name both files", driver.ErrInvalid)
	case !needs && t.wanted != "true":
		return nil, nil //nolint:nilnil // No TLS is no error.
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.serverName} // An empty name is the host's, for each server its own.
	if t.ca != "" {
		text, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w: %w", driver.ErrInvalid, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read ca: %w: %s holds no certificate in PEM", driver.ErrInvalid, t.ca)
		}
	}
	if t.cert != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, fmt.Errorf("read cert %s and key %s: %w: %w", t.cert, t.key, driver.ErrInvalid, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
