package telnyxtest

import "fmt"

// Verify checks a client token as the room would when a participant joins: signature,
// kind, room, validity at the server's own time, revocation, and that the room has not
// been removed. An error wraps [ErrInvalid], [ErrExpired] or [ErrRevoked].
func (s *Server) Verify(room, token string) error {
	room = Create.normalize(room)
	if err := s.issuer.check(token, clientToken, room, s.Now()); err != nil {
		return err
	}
	if !s.rooms.exists(room) {
		return fmt.Errorf("%w: the room has been removed", ErrRevoked)
	}
	return nil
}

// VerifyCredential checks a token of a telephony credential as Telnyx would when a client
// logs in: signature, kind, credential, validity at the server's own time, revocation. An
// error wraps [ErrInvalid], [ErrExpired] or [ErrRevoked].
func (s *Server) VerifyCredential(id, token string) error {
	return s.issuer.check(token, credentialToken, id, s.Now())
}

// RevokeRefreshTokens revokes all refresh tokens minted so far for the given rooms, or
// for all rooms if none are given. Tokens minted later are valid.
func (s *Server) RevokeRefreshTokens(rooms ...string) {
	s.issuer.revoke(refreshToken, lower(rooms))
}

// RevokeTokens revokes all tokens minted so far for the given rooms and telephony
// credentials, or for all of both if no IDs are given: Verify and VerifyCredential return
// [ErrRevoked] for them. Refresh tokens stay valid, and so do tokens minted later.
func (s *Server) RevokeTokens(ids ...string) {
	s.issuer.revoke(clientToken, lower(ids))
	s.issuer.revoke(credentialToken, ids)
}
