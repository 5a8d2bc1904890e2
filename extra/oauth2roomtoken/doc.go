// Package oauth2roomtoken connects a [roomtoken.Manager] with programs that use
// golang.org/x/oauth2.
//
// [Transport] is an [http.RoundTripper] that sends a room's token with each request. It
// asks for a new token when a server refuses one, and sends no token to another server:
//
//	client := &http.Client{Transport: &oauth2roomtoken.Transport{Manager: manager, RoomID: "lobby"}}
//
// [NewTokenSource] is for code that accepts an [oauth2.TokenSource] only. Such code cannot
// report that a token was refused; where you have the choice, use Transport.
package oauth2roomtoken
