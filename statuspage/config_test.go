package statuspage

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// The error of New names everything that is wrong, and says what would be right.
func TestNewNamesEveryBadField(t *testing.T) {
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	for _, test := range []struct {
		manager *roomtoken.Manager
		config  Config
		want    []string
	}{
		{manager, Config{}, []string{"Config.Authorize is nil"}},
		{nil, Config{Authorize: Anyone}, []string{"a Manager, not nil"}},
		{manager, Config{Authorize: Anyone, Every: -1}, []string{"Config.Every is -1ns; want 1ms to 24h0m0s"}},
		{manager, Config{Authorize: Anyone, Every: time.Millisecond - 1}, []string{"Config.Every is 999.999µs"}},
		{manager, Config{Authorize: Anyone, Every: math.MaxInt64}, []string{"Config.Every is 2562047h"}},
		{nil, Config{Every: -time.Second}, []string{"a Manager, not nil", "statuspage.Anyone", "Config.Every is -1s"}},
	} {
		page, err := New(test.manager, test.config)
		if page != nil || err == nil {
			t.Errorf("New(%v, %+v) = (%v, %v), want an error only", test.manager, test.config, page, err)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(test.want) {
			t.Errorf("New = %q, want %d errors", err, len(test.want))
			continue
		}
		for i, want := range test.want {
			if !strings.HasPrefix(lines[i], "statuspage: ") || !strings.Contains(lines[i], want) {
				t.Errorf("error %d is %q, want statuspage: ... %s", i, lines[i], want)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		if w.page.config.Title != "roomtoken" || w.page.config.Every != 10*time.Second {
			t.Errorf("Title, Every = %q, %v", w.page.config.Title, w.page.config.Every)
		}
	})
	within(t, Config{Title: "eu-1", Every: 24 * time.Hour}, func(t *testing.T, w *world) {
		if w.page.config.Title != "eu-1" || w.page.config.Every != 24*time.Hour {
			t.Errorf("Title, Every = %q, %v", w.page.config.Title, w.page.config.Every)
		}
	})
}
