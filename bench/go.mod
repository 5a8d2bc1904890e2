module github.com/roomtoken/roomtoken/bench

go 1.25.0

replace (
	github.com/roomtoken/roomtoken => ../
	github.com/roomtoken/roomtoken/extra/redisstore => ../extra/redisstore
)

require (
	cloud.google.com/go/auth v0.23.3
	github.com/aws/aws-sdk-go-v2 v1.47.7
	github.com/bsm/redislock v0.9.4
	github.com/maypok86/otter/v2 v2.4.0
	github.com/puzpuzpuz/xsync/v4 v4.5.0
	github.com/redis/go-redis/v9 v9.22.0
	github.com/redis/rueidis v1.0.55 // the last release that has package rueidisaside in this module
	github.com/roomtoken/roomtoken v0.0.0-00010101000000-000000000000
	github.com/roomtoken/roomtoken/extra/redisstore v0.0.0-00010101000000-000000000000
	github.com/viccon/sturdyc v1.1.5
	golang.org/x/oauth2 v0.36.0
	golang.org/x/sync v0.22.0
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/failsafe-go/failsafe-go v0.9.8
)

require (
	cloud.google.com/go/compute/metadata v0.9.0 // indirect
	github.com/aws/smithy-go v1.28.8 // indirect
	github.com/benbjohnson/clock v1.3.5 // indirect
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/googleapis/gax-go/v2 v2.23.0 // indirect
	github.com/influxdata/tdigest v0.0.1 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
