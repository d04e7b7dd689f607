// Package redismigrate splits an overgrown Redis: it takes the keys that belong together, for example the sessions, to a store of their
// own, and proves that they arrived.
//
// # The story
//
// Sessions lived in one overgrown ElastiCache together with unrelated data; a new application should get the sessions and nothing else.
// The first attempt was rolled back: the managed service forbade MIGRATE, the data was larger than guessed. The second attempt succeeded:
// restore the whole snapshot into the new store, and delete there what does not belong. No transfer, many keys per command, and a
// rehearsal on a restored snapshot measures both size and time beforehand.
//
// # Before anything is touched
//
//   - [Inspect] makes the card of a server: what it is, and what it really lets this user do. [Compare] says in what the server of a
//     rehearsal differs from that of production.
//   - [Measure] counts keys, bytes and expiries, by prefix, type and db.
//   - [MakePlan] weighs the strategies between two stores, says why not the others, and lists the steps with their ways back.
//   - [Rehearse] runs the plan on stand-ins and forecasts the day.
//   - [ACLRules] writes the least rights for the new application's user, and [CheckACL] holds them against a server.
//
// # The move
//
// Deleting what does not belong has one disaster in store: being pointed at the old store by mistake. Therefore
//
//   - [PlanPrune] counts what would be kept and deleted, and deletes nothing. It compares what the servers say of themselves (run_id,
//     replication group, role), not their addresses, and refuses a target that is the source under another name, behind a proxy, its
//     master or its replica, or that cannot be told from it. It plants a canary key on the server that it has verified.
//   - [PrunePlan.Apply] wants the text that names the target and the counts, proves all of it again, and then deletes in passes until
//     one finds nothing to delete. A plan for one server process cannot be applied to another.
//   - [Verify] compares both ways: what should be there is there, equal, and nothing else is. It says [Unknown] rather than guess.
//
// Where transfer is the better way, [Copy] moves the selected keys with DUMP and RESTORE, expiries as points in time; where the target does
// not read the source's payloads, by the commands of their types. It goes on where it was when it was killed ([FileCheckpoint]).
// [CopyFunctions] takes function libraries along. [Filter] makes, out of a snapshot file and without any server, one that holds only the
// selected keys.
//
// # Without a window
//
// Where writers cannot be stopped, a [Split] takes the keys over while everything runs: the application's go-redis client is made by [NewSplit], and goes through the states
// old, home, away, new and sealed, one step at a time and back until sealed. What it refuses is listed in SPLIT.md.
//
// Stores are Redis and Valkey, single servers and clusters. Which keys belong is said by a [Selector] of Redis' own glob patterns; the zero Selector selects nothing, and no job accepts it.
package redismigrate
