module github.com/roomtoken/roomtoken/extra/oauth2roomtoken

go 1.26.0

replace github.com/roomtoken/roomtoken => ../../

require (
	github.com/roomtoken/roomtoken v0.0.0-00010101000000-000000000000
	golang.org/x/oauth2 v0.38.0
)

require (
	github.com/benbjohnson/clock v1.3.5 // indirect
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
)
