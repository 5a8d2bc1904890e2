module github.com/roomtoken/roomtoken

go 1.25.0

require (
	github.com/benbjohnson/clock v1.3.5
	github.com/cenkalti/backoff/v4 v4.3.0
	golang.org/x/sync v0.22.0
)
