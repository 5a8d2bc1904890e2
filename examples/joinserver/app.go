package main

import (
	"bytes"
	"log"
	"log/slog"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/statuspage"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// app is all that the server serves.
type app struct {
	api     *telnyxtest.Server // in this process; nil: Telnyx
	manager *roomtoken.Manager
	tokens  *roomhttp.Handler
	status  *statuspage.Page
	faults  []fault
	page    []byte // the HTML
}

// newApp returns an app for tokens of that lifetime, and a page with those rooms. Without
// an API key it starts a rooms API.
func newApp(apiKey string, ttl time.Duration, rooms []string) (*app, error) {
	a := &app{}
	if err := a.start(apiKey, ttl, rooms); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *app) start(apiKey string, ttl time.Duration, rooms []string) error {
	config := telnyx.Config{APIKey: apiKey, TokenTTL: ttl}
	if apiKey == "" {
		log.Print("TELNYX_API_KEY is not set: using an API in this process")
		a.api = telnyxtest.NewServer(telnyxtest.Config{})
		a.faults = faultsOf(a.api, ttl)
		config.BaseURL, config.APIKey = a.api.URL, a.api.APIKey
	}
	source, err := telnyx.NewSource(config)
	if err != nil {
		return err
	}
	a.manager, err = roomtoken.NewManager(source, roomtoken.Config{Logger: slog.Default()})
	if err != nil {
		return err
	}
	a.tokens, err = roomhttp.New(a.manager, roomhttp.Config{Authorize: anyone, Logger: slog.Default()})
	if err != nil {
		return err
	}
	a.status, err = statuspage.New(a.manager, statuspage.Config{Authorize: statuspage.Anyone, Title: "Rooms of joinserver"})
	if err != nil {
		return err
	}
	var page bytes.Buffer
	err = index.Execute(&page, struct {
		Rooms  []string
		TTL    string
		Faults []fault
	}{rooms, seconds(ttl), a.faults})
	a.page = page.Bytes()
	return err
}

// close ends all that start has started.
func (a *app) close() {
	if a.status != nil {
		a.status.Close()
	}
	if a.manager != nil {
		a.manager.Close()
	}
	if a.api != nil {
		a.api.Close()
	}
}
