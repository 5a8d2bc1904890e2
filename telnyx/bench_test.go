package telnyx

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The two benchmarks compare the client side of a Create with a bare POST and
// encoding/json. The server writes the same bytes in both and allocates nothing.

func BenchmarkCreate(b *testing.B) {
	base := startCannedServer(b)
	source, err := NewSource(Config{APIKey: testKey, BaseURL: base})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(source.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // as in every call of a Manager
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := source.Create(ctx, testRoom); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBarePost(b *testing.B) {
	base := startCannedServer(b)
	client := &http.Client{Transport: &http.Transport{}}
	b.Cleanup(client.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if err := barePost(ctx, client, base, testRoom); err != nil {
			b.Fatal(err)
		}
	}
}

// barePost is the minimum that a careful program would do.
func barePost(ctx context.Context, client *http.Client, base, room string) error {
	body, err := json.Marshal(struct {
		TokenTTLSecs int `json:"token_ttl_secs"`
	}{600})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		base+"/rooms/"+room+"/actions/generate_join_client_token", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	var answer struct {
		Data struct {
			Token                 string    `json:"token"`
			TokenExpiresAt        time.Time `json:"token_expires_at"`
			RefreshToken          string    `json:"refresh_token"`
			RefreshTokenExpiresAt time.Time `json:"refresh_token_expires_at"`
		} `json:"data"`
	}
	return json.NewDecoder(resp.Body).Decode(&answer)
}

// startCannedServer starts a server that answers every request with the same grant.
func startCannedServer(tb testing.TB) (baseURL string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	token, refresh := jwt(now, now.Add(10*time.Minute)), jwt(now, now.Add(time.Hour))
	body := grantBody(token, now.Add(10*time.Minute), refresh, now.Add(time.Hour))
	answer := fmt.Appendf(nil, "HTTP/1.1 201 Created\r\nContent-Type: application/json; charset=utf-8\r\nDate: %s\r\nContent-Length: %d\r\n\r\n%s",
		now.UTC().Format(http.TimeFormat), len(body), body)
	tb.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveCanned(conn, answer)
		}
	}()
	return "http://" + listener.Addr().String()
}

// serveCanned reads requests, bodies included, and responds to each with answer.
func serveCanned(conn net.Conn, answer []byte) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for length := 0; ; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(string(value)))
		}
		if len(bytes.TrimSpace(line)) > 0 {
			continue
		}
		if _, err := r.Discard(length); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
