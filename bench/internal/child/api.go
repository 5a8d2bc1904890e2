package child

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// API is a fake API over TLS in another process, which runs [ServeAPI].
type API struct {
	*Process
	URL string

	certificate string // a file
}

// StartAPI starts one, and makes this process trust its certificate. For a client that is
// not ours to configure that is only possible through the environment, which Go reads
// before it verifies the first certificate: all APIs of a program must have the same one,
// as those of httptest do. It works where Go itself verifies, as on Linux.
func StartAPI(ctx context.Context, args ...string) (*API, error) {
	p, err := Start(ctx, args...)
	if err != nil {
		return nil, err
	}
	a := &API{Process: p}
	var hello welcome
	if err := p.Answers.Decode(&hello); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the address of the API: %w", err), a.Stop())
	}
	a.URL = hello.URL
	if err := a.trust(hello.Certificate); err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

// trust makes this process trust a certificate.
func (a *API) trust(certificate []byte) error {
	file, err := os.CreateTemp("", "api-*.pem")
	if err != nil {
		return err
	}
	a.certificate = file.Name()
	err = pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", a.certificate)
}

// Stop ends the process, and waits until it has ended.
func (a *API) Stop() error {
	err := a.Process.Stop()
	if a.certificate != "" {
		err = errors.Join(err, os.Remove(a.certificate))
	}
	return err
}

// welcome says how to reach the API.
type welcome struct {
	URL         string
	Certificate []byte // of the server, DER
}

// ServeAPI is [Serve] for the process of an API: it says first how to reach it.
func ServeAPI[Order, Answer any](in io.Reader, out io.Writer, url string, certificate *x509.Certificate, answer func(Order) (Answer, error)) error {
	if err := json.NewEncoder(out).Encode(welcome{URL: url, Certificate: certificate.Raw}); err != nil {
		return err
	}
	return Serve(in, out, answer)
}
