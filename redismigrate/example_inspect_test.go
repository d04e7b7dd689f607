package redismigrate_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/redismigrate"
)

// Production is a managed service that takes MIGRATE away; the rehearsal was on a server of one's own. Compare says so before the day.
func ExampleCompare() {
	ctx := context.Background()
	vm, err := servers.StartRedis(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer vm.Close()
	managed, err := servers.StartRedisOf(ctx, servers.RedisKind{Limits: servers.ElastiCache()})
	if err != nil {
		log.Fatal(err)
	}
	defer managed.Close()

	rehearsal, err := redismigrate.Inspect(ctx, &redismigrate.Endpoint{URL: vm.URL}, redismigrate.InspectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	production, err := redismigrate.Inspect(ctx, &redismigrate.Endpoint{URL: managed.URL}, redismigrate.InspectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the rehearsal may run MIGRATE:", rehearsal.Can("MIGRATE"))
	c := redismigrate.Compare(rehearsal, production)
	fmt.Println(c.Verdict())
	for _, d := range c.Differing() {
		if d.Item == "MIGRATE" {
			fmt.Printf("%s: %s: %s in the rehearsal, %s in production\n", d.Severity, d.Item, d.Rehearsal, d.Production)
		}
	}
	// Output:
	// the rehearsal may run MIGRATE: true
	// mismatch
	// blocker: MIGRATE: allowed in the rehearsal, absent in production
}

// The target is asked which versions of dumped values it takes.
func ExampleInspect() {
	ctx := context.Background()
	fresh, err := servers.StartRedisOf(ctx, servers.RedisKind{Flavour: "valkey", Version: "9.1"})
	if err != nil {
		log.Fatal(err)
	}
	defer fresh.Close()
	card, err := redismigrate.Inspect(ctx, &redismigrate.Endpoint{URL: fresh.URL}, redismigrate.InspectOptions{Target: true, Keys: sessions})
	if err != nil {
		log.Fatal(err)
	}
	takes, _ := card.TakesPayload(12)
	fmt.Println(card.Flavour, "writes version", card.DumpVersion, "and takes", card.RestoreVersions, "so that of Redis 8:", takes)
	fmt.Println("RESTORE is", card.Commands["RESTORE"])
	// Output:
	// valkey writes version 80 and takes [{1 11} {80 80}] so that of Redis 8: false
	// RESTORE is allowed
}

// The card of a server, as a person reads it. Here one is made by hand, so that it is the same every time.
func ExampleServer_String() {
	fmt.Print(&redismigrate.Server{
		Addr: "10.0.0.5:6379", At: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), User: "operator",
		Flavour: redismigrate.Redis, Version: "7.0.15", Service: "ElastiCache", Databases: 16,
		Nodes: []redismigrate.ServerNode{{Role: "master", UsedMemory: 6 << 30, MaxMemory: 8 << 30}},
		DBs:   []redismigrate.DBKeys{{DB: 0, Keys: 1_000_000, Expires: 300_000}}, UsedMemory: 6 << 30, MaxMemory: 8 << 30, Policy: "volatile-lru",
		Persistence: "none", DumpVersion: 10,
		Commands: map[string]redismigrate.Permission{"DUMP": redismigrate.Allowed, "MIGRATE": redismigrate.Absent, "CONFIG SET": redismigrate.Absent},
		Untold:   map[string]string{"RestoreVersion": "asked of targets only (InspectOptions.Target)"},
	})
	// Output:
	// server          10.0.0.5:6379, redis 7.0.15, ElastiCache
	// asked           2026-11-22 09:00:00 UTC, as operator
	// form            one server, master; 16 dbs
	// keys            1000000; db 0: 1000000 (300000 expire)
	// memory          6.0 GiB used, of 8.0 GiB, volatile-lru, room for 2.0 GiB
	// kept by         none; clients besides this one: 0
	// payloads        DUMP writes version 10; RESTORE takes could not tell
	// absent          CONFIG SET, MIGRATE
	// allowed         DUMP
	//   RestoreVersion: asked of targets only (InspectOptions.Target)
}

// The new application gets a user that may do no more than it must; the rules are tried on the server before anybody relies on them.
func ExampleACLRules() {
	ctx := context.Background()
	fresh, err := servers.StartRedis(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer fresh.Close()
	user, err := redismigrate.ACLRules(sessions, redismigrate.AppAccess{Name: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user)
	report, err := redismigrate.CheckACL(ctx, &redismigrate.Endpoint{URL: fresh.URL}, user, redismigrate.CheckACLOptions{CreateTemporary: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict())
	// Output:
	// ACL SETUSER shop reset on >{password} ~session:* +@read +@connection +@write -@scripting -@dangerous
	// match
}

// Without a card nobody knows which commands the server has: an ACL refuses rules for others.
func ExampleJobACLRules() {
	card := &redismigrate.Server{Commands: map[string]redismigrate.Permission{"HPEXPIRETIME": redismigrate.Absent}}
	user, err := redismigrate.JobACLRules(sessions, redismigrate.JobAccess{Jobs: []redismigrate.ACLJob{redismigrate.MeasureJob}, Server: card})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user)
	// Output:
	// ACL SETUSER tashikame reset on >{password} %R~* +client|no-touch +client|setname +dbsize +dump +exists +hlen +info +llen +memory|usage +pexpiretime +ping +pttl +scan +scard +select +strlen +time +type +xlen +zcard
}

// A user that is there already is checked without writing anything.
func ExampleCheckACL() {
	ctx := context.Background()
	fresh, err := servers.StartRedis(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer fresh.Close()
	fresh.Client.Do(ctx, "ACL", "SETUSER", "shop", "on", ">secret", "~*", "+@all", "-@dangerous") // somebody was generous
	user, err := redismigrate.ACLRules(sessions, redismigrate.AppAccess{Name: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	report, err := redismigrate.CheckACL(ctx, &redismigrate.Endpoint{URL: fresh.URL}, user, redismigrate.CheckACLOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict())
	for _, f := range report.Findings {
		if f.Verdict == redismigrate.Mismatch && f.Call[0] == "GET" {
			fmt.Println(f.Call[0], "of a foreign key:", f.Why)
		}
	}
	// Output:
	// mismatch
	// GET of a foreign key: the server allows it
}
