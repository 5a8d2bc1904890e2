package telnyxtest

import (
	"errors"
	"strings"
	"testing"
)

func TestRemoveRooms(t *testing.T) {
	const roomC = "11111111-2222-3333-4444-555555555555"
	for _, tt := range []struct {
		name   string
		rooms  []string
		remove []string
		gone   map[string]bool
	}{
		{"of all UUIDs", nil, []string{strings.ToUpper(roomA)}, map[string]bool{roomA: true, roomB: false, roomC: false}},
		{"of the listed ones", []string{roomA, strings.ToUpper(roomB)}, []string{roomA}, map[string]bool{roomA: true, roomB: false, roomC: true}},
		{"several", nil, []string{roomA, roomB}, map[string]bool{roomA: true, roomB: true, roomC: false}},
		{"one that does not exist", []string{roomA}, []string{roomB}, map[string]bool{roomA: false, roomB: true, roomC: true}},
		{"none", nil, nil, map[string]bool{roomA: false, roomB: false, roomC: false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := Start(t, Config{Rooms: tt.rooms})
			tokens := map[string]map[string]string{}
			for room := range tt.gone {
				if got := post(t, srv, room, create, `{}`); got.status == 201 {
					tokens[room] = got.data(t)
				}
			}
			srv.RemoveRooms(tt.remove...)
			for room, gone := range tt.gone {
				status := map[bool]int{true: 404, false: 201}[gone]
				if got := post(t, srv, room, create, `{}`); got.status != status || gone && got.code() != "object 65001" {
					t.Errorf("create in %s: %d %s, want %d", room, got.status, got.code(), status)
				}
				data := tokens[room]
				if data == nil {
					continue
				}
				if got := post(t, srv, room, refresh, `{"refresh_token":"`+data["refresh_token"]+`"}`); got.status != status {
					t.Errorf("refresh in %s: %d, want %d", room, got.status, status)
				}
				var want error
				if gone {
					want = ErrRevoked
				}
				for _, id := range []string{room, strings.ToUpper(room)} {
					if err := srv.Verify(id, data["token"]); !errors.Is(err, want) {
						t.Errorf("Verify in %s: %v, want %v", id, err, want)
					}
				}
			}
		})
	}
}
