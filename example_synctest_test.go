package roomtoken_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// A Manager runs in a testing/synctest bubble as it is: a day passes in no time.
func TestExampleSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{TokenTTL: 10 * time.Minute}
		manager, err := roomtoken.NewManager(source, roomtoken.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer manager.Close() // before the bubble ends

		first, err := manager.Token(t.Context(), "lobby")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Minute) // the token has been renewed
		synctest.Wait()
		second, err := manager.Token(t.Context(), "lobby")
		if err != nil {
			t.Fatal(err)
		}
		if second.Value.Equal(first.Value) || source.Refreshes() != 1 {
			t.Errorf("after 8 min: %d refreshes, want a new token from one", source.Refreshes())
		}
	})
}
