// Command admin gives a MinIO server the users that a ground or a test wants: MinIO's administration API encrypts its
// bodies in a way of its own, so MinIO's client library speaks it, not TypeScript of ours.
//
// It reads one JSON object on standard input, so that no secret is an argument:
//
//	{"endpoint": "127.0.0.1:9000", "accessKey": "…", "secretKey": "…",
//	 "users": [{"accessKey": "…", "secretKey": "…", "policyName": "…", "policy": {…}}]}
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/minio/madmin-go/v3"
)

type user struct {
	AccessKey  string          `json:"accessKey"`
	SecretKey  string          `json:"secretKey"`
	PolicyName string          `json:"policyName"`
	Policy     json.RawMessage `json:"policy"`
}

type request struct {
	Endpoint  string `json:"endpoint"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
	Users     []user `json:"users"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var wanted request
	if err := json.NewDecoder(os.Stdin).Decode(&wanted); err != nil {
		return fmt.Errorf("reading the request on standard input: %w", err)
	}
	client, err := madmin.New(wanted.Endpoint, wanted.AccessKey, wanted.SecretKey, false)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", wanted.Endpoint, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, each := range wanted.Users {
		if err := client.AddCannedPolicy(ctx, each.PolicyName, each.Policy); err != nil {
			return fmt.Errorf("writing policy %s: %w", each.PolicyName, err)
		}
		if err := client.AddUser(ctx, each.AccessKey, each.SecretKey); err != nil {
			return fmt.Errorf("adding the user of policy %s: %w", each.PolicyName, err)
		}
		attach := madmin.PolicyAssociationReq{Policies: []string{each.PolicyName}, User: each.AccessKey}
		if _, err := client.AttachPolicy(ctx, attach); err != nil && madmin.ToErrorResponse(err).Code != "XMinioAdminPolicyChangeAlreadyApplied" {
			return fmt.Errorf("attaching policy %s: %w", each.PolicyName, err)
		}
	}
	return nil
}
