package main

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// recordSize returns the length of the record of a room in Redis, 0 if there is none. The
// name of its field ends with the name of the key that has sealed it.
func recordSize(ctx context.Context, client redis.Cmdable, key string) (int64, error) {
	fields, err := client.HGetAll(ctx, key).Result()
	for name, value := range fields {
		if strings.HasPrefix(name, "record") {
			return int64(len(value)), err
		}
	}
	return 0, err
}
