module github.com/roomtoken/roomtoken/examples/fleet

go 1.25.0

replace (
	github.com/roomtoken/roomtoken => ../../
	github.com/roomtoken/roomtoken/extra/redisstore => ../../extra/redisstore
)

require (
	github.com/redis/go-redis/v9 v9.22.0
	github.com/roomtoken/roomtoken v0.0.0-00010101000000-000000000000
	github.com/roomtoken/roomtoken/extra/redisstore v0.0.0-00010101000000-000000000000
)

require (
	github.com/benbjohnson/clock v1.3.5 // indirect
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.30.0 // indirect
)
