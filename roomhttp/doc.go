// Package roomhttp hands the tokens of a [roomtoken.Manager] to browsers: an endpoint that
// returns a room's token, a stream that sends each new token before the old one expires,
// and a JavaScript module that reads the stream.
//
//	handler, err := roomhttp.New(manager, roomhttp.Config{
//		Authorize: func(r *http.Request, roomID string) error {
//			user, err := sessions.User(r)
//			switch {
//			case err != nil:
//				return roomhttp.ErrUnauthenticated
//			case !user.MayEnter(roomID):
//				return errors.New("not a member of the room")
//			}
//			return nil
//		},
//	})
//	...
//	mux.Handle("/api/", http.StripPrefix("/api", handler))
//	server.RegisterOnShutdown(handler.Shutdown)
//
// The page:
//
//	import { watchToken } from "/api/roomtoken.js";
//	let room;
//	watchToken(`/api/rooms/${encodeURIComponent(roomId)}/token`, {
//		onToken: async ({ token }) => {
//			if (room) return room.updateClientToken(token);
//			room = await initialize({ roomId, clientToken: token }); // of @telnyx/video
//			room.on("disconnected", () => (room = undefined)); // the next token joins anew
//			await room.connect();
//		},
//	});
//
// # Mounting
//
// A [Handler] has no prefix of its own and takes the room ID from the escaped path, so
// strip the prefix with [http.StripPrefix], whatever the router:
//
//	mux.Handle("/api/", http.StripPrefix("/api", handler))                          // net/http
//	router.Mount("/api", http.StripPrefix("/api", handler))                         // chi
//	engine.Any("/api/*path", gin.WrapH(http.StripPrefix("/api", handler)))          // gin
//	e.Any("/api/*", echo.WrapHandler(http.StripPrefix("/api", handler)))            // echo
//
// For paths of your own there are [Handler.Token], [Handler.Events] and
// [Handler.Rejected].
//
// Middleware that wraps the [http.ResponseWriter] needs a method Unwrap (see
// [http.ResponseController]), or streams lose their write deadlines. Behind
// [http.TimeoutHandler], or compression that buffers, streams do not work.
//
// # The server
//
// Serve HTTP/2, which browsers speak over TLS only: over HTTP/1.1 a browser opens six
// connections to a host at most, and each stream takes one, so the seventh tab would wait
// for ever.
//
// Streams outlive the server's ReadTimeout and WriteTimeout. WriteTimeout must be more than
// Config.Wait, though, or requests that wait for a token are cut off. With HTTP/2 set
// http.Server.HTTP2.WriteByteTimeout as well, to 10 s for instance: a deadline of a stream
// does not end a connection whose other end has vanished, and no handler can.
//
// Register [Handler.Shutdown] with [http.Server.RegisterOnShutdown]: the server's Shutdown
// waits for streams, and does not end them. Manager.Close ends all streams, too. [Ready]
// is a handler for readiness probes.
//
// # Requests
//
//	GET  /rooms/{room_id}/token           {"token": "...", "token_expires_at": "2026-07-01T12:00:00Z", "expires_in": 570}
//	GET  /rooms/{room_id}/token/events    a stream
//	POST /rooms/{room_id}/token/rejected  takes {"token": "..."}; 204
//	GET  /roomtoken.js                    the module, for anybody
//
// expires_in is in seconds. Prefer it to token_expires_at where the clock may be wrong. Both
// are rounded down.
//
// The checks come in this order: path, origin, method, room ID, Config.Authorize, limits.
// Requests of pages of other origins are refused unless Config.AllowOrigins has the origin.
//
// # Errors
//
// An error is a problem document (RFC 9457): application/problem+json with type, title,
// status, detail, a code for programs, and with status 503 retry_after, the seconds that
// the Retry-After header says, too. What it says is fixed for each code; why it happened is
// for the Logger.
//
//	not_found               404  there is nothing at that path
//	method_not_allowed      405
//	bad_room_id             400  not 1 to 1,024 bytes of UTF-8 without control characters
//	cross_origin            403  a page of another origin
//	unauthenticated         401  Authorize: ErrUnauthenticated
//	forbidden               403  Authorize: any other error
//	room_not_found          404  the source or Authorize: roomtoken.ErrRoomNotFound
//	source_refused          502  the source: any other roomtoken.ErrPermanent
//	rate_limited            503  the source: roomtoken.ErrRateLimited
//	too_many_rooms          503  roomtoken.ErrTooManyRooms
//	too_many_streams        503  Config.MaxStreams or Config.MaxStreamsPerRoom
//	closing                 503  after Manager.Close; for streams also after Handler.Shutdown
//	unavailable             503  no token within Config.Wait, or Authorize: ErrUnavailable
//	streaming_unsupported   500  the http.ResponseWriter cannot flush
//	unsupported_media_type  415  a report that is not application/json
//	too_large               413  a report of more than 16 KiB
//	bad_request             400  a report that is no JSON object with a token
//
// [Status] does the same for handlers of your own.
//
// # Streams
//
// A stream is one of server-sent events (HTML Living Standard, section 9.2), for an
// EventSource or for the module, which can also send headers. It begins with
//
//	retry: 3217
//	: heartbeat 15
//
// The comment comes again whenever nothing else was sent for that many seconds
// (Config.Heartbeat). Then there are three events:
//
//	id: 3f2a9c01d4e7
//	event: token
//	data: {"token":"...","token_expires_at":"2026-07-01T12:00:00Z","expires_in":570}
//
//	event: problem
//	data: {"type":"about:blank","title":"Service Unavailable","status":503,"code":"rate_limited","detail":"...","retry_after":7}
//
//	event: end
//	data: {"code":"closing","reconnect":true}
//
// The token comes at once, and each new one well before the old one expires. Its id is
// [roomtoken.Secret.Fingerprint], the same in every process; the token that the
// Last-Event-ID header names is not sent again. A client that is slow gets the latest token
// only.
//
// A problem says that the room is without a token. The stream goes on. It comes once, and
// again only after a token or with another code.
//
// An end is the last event. With reconnect the client should connect again: after closing,
// too_many_rooms and unavailable (Authorize could not decide). Without, it should not:
// after room_not_found, and after unauthenticated and forbidden, when Authorize has refused
// a further token.
//
// A plain EventSource connects again by itself, so the page has to close it at an end
// without reconnect:
//
//	source.addEventListener("end", ({ data }) => JSON.parse(data).reconnect || source.close());
//
// An EventSource also gives up for good on any status but 200. So the headers of a stream
// wait up to 2 s for the first token or error, and an error that may pass is a problem or
// an end of a stream with status 200. The exceptions are what keeps a stream from opening
// at all, with status 503: a limit, Shutdown or Close before its headers are sent, and
// Authorize that returns ErrUnavailable. The module honours their Retry-After.
package roomhttp
