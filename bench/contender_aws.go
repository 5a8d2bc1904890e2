package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

var awsContender = contender{
	name:   "aws",
	module: "github.com/aws/aws-sdk-go-v2",
	kind:   peer,
	single: true,
	open: func(src *source, t terms) (cache, error) {
		retrieve := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			tok, err := src.mint(ctx, "")
			return aws.Credentials{
				AccessKeyID:     "id", // credentials without keys are treated as missing
				SecretAccessKey: "key",
				SessionToken:    tok.text,
				CanExpire:       true,
				Expires:         tok.expires,
			}, err
		})
		return awsCache{aws.NewCredentialsCache(retrieve, func(o *aws.CredentialsCacheOptions) {
			o.ExpiryWindow = t.early
		})}, nil
	},
}

type awsCache struct{ credentials *aws.CredentialsCache }

func (c awsCache) Get(ctx context.Context, _ string) (string, error) {
	got, err := c.credentials.Retrieve(ctx)
	return got.SessionToken, err
}

func (awsCache) Close() error { return nil }
