package storeseal_test

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// A store keeps what Seal returns, and opens it for the same room only.
func Example() {
	key := bytes.Repeat([]byte{1}, storeseal.KeySize) // yours comes from a secret manager
	sealer, err := storeseal.New("myapp:", key)
	if err != nil {
		fmt.Println(err)
		return
	}
	record := roomtoken.Record{Version: 1, Token: roomtoken.NewSecret("a-token"), Lifetime: time.Hour}
	sealed, err := sealer.Seal("lobby", record)
	if err != nil {
		fmt.Println(err)
		return
	}

	opened, err := sealer.Open("lobby", sealed)
	fmt.Println(opened.Token.Equal(record.Token), opened.Lifetime, err)
	_, err = sealer.Open("hall", sealed)
	fmt.Println(errors.Is(err, storeseal.ErrDamaged))
	fmt.Println(sealer)
	// Output:
	// true 1h0m0s <nil>
	// true
	// storeseal.Sealer("myapp:", keys: 1)
}
