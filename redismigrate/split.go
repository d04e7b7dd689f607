package redismigrate

// # The protocol of a live split
//
// The client that follows it is still to be built; what is here is the protocol, the decisions of a command on its way (errand), and a model
// of both, searched exhaustively.
//
// Keys go from the old store to the new one while many processes use them, each through states that are taken one step at a time, forth
// and back. Processes learn of a step at different moments (a rolling deployment, a delayed look), so that two neighbouring states are in
// use at the same time, and never more than two.
//
//	old    every command goes to the old store, as before
//	home   a command runs where its key is; a key that is on the new store is brought back to the old one first
//	away   a command runs where its key is; a key that is on the old store is brought to the new one first
//	new    every command goes to the new store
//	sealed the same, and there is no way back
//
// # Where a key is
//
// At every moment a key has one authority, the store that may run commands on it. A record beside the key, in the same slot, says so: the
// number of the key's last hand-over, and what the store is to the key since:
//
//	here     it is the authority
//	leaving  it was; the value is on its way and does not change any more
//	gone     it is not
//
// A key without a record is here on the old store. On the new store it is gone if it does not exist, and here if it does: then a process
// in the state new has created it. Every command in home and away runs inside a script that looks at the record first, so that nothing
// comes between the look and the command.
//
// # A hand-over
//
// From store A to store B, in three steps, each atomic on one store:
//
//	depart  on A: here (n) becomes leaving (n+1), and the value is read with its expiry; leaving (n+1) is read again
//	arrive  on B: unless its record is of hand-over n+1 or a later one, the value is written and the record becomes here (n+1)
//	finish  on A: if its record still is leaving (n+1), the value is deleted and the record becomes gone (n+1)
//
// Between depart and arrive nobody may use the key; whoever wants to does the rest of the hand-over itself, since all that it needs is on
// A: it departs too, but only to read what is leaving. It must not begin a hand-over in the direction of the neighbouring state, which may
// be over when it comes to that. So a process that dies anywhere leaves something that the next one completes. The number makes each step happen at most once, however
// late a slow process or a delayed packet comes with it: a value that arrives a second time would overwrite newer data, or resurrect a key
// that was deleted; a late finish would delete a key that has come back.
//
// A key that does not exist is handed over like any other, with no value, before it is created: else a process in home and one in away
// would create it on either side. Only a read of a key that is nowhere runs where it is. Expiries are points in time, so that a value that
// expires on its way does not arrive.
//
// # What a step between states needs
//
// Each step waits until every process is in the present state, none of its commands being under way. Beyond that
//
//   - home to old: no key is on the new store, not even one that does not exist but has a record that says here, and none is leaving;
//   - away to new: no key is on the old store, in the same sense, and none is leaving. Nobody creates one there any more: a process in away creates on the
//     new store, and there is none in home;
//   - away to home: every key of the new store has a record, which those that were created in the state new get by a hand-over of no value:
//     to a process in home, a key without a record is on the old store.
//
// The mover sees to that: it hands over the keys that nobody touches.
//
// # Why not otherwise
//
// A dual write, the alternative, sends every write to both stores and moves the reads later. It has no authority: when one of the two
// writes fails or two processes write in different orders, the stores differ, and nothing says which is right; so it needs a repair that
// guesses. A lazy copy on first read, without the records, resurrects keys that were deleted on the new store while the copy was under
// way. The hand-over costs an extra round trip once for each key, and a script around each command while keys are moving; in the states
// old and new, commands are as they are without it.
//
// # What can go wrong, and what then
//
// Crash of a process: before depart, nothing happened. After depart, the key is leaving, and the next to touch it, or the mover, does
// arrive and finish. After arrive, the new authority serves it; the old store's record says leaving, which nobody uses, until somebody
// finishes. After finish, all is done.
//
// Two processes hand over one key: both depart with the same number; the second arrive and the second finish do nothing. One in home and
// one in away pull a key to and fro: each hand-over has its own number, so that both get on, if slowly.
//
// A packet comes late: arrive and finish are of a number that is over, and do nothing. Everything else must not be under way any more when
// the state after next is entered, which is what the waiting is for: a command of the states old and new looks at no record, a depart begins
// a hand-over in the direction of its sender's state, and a command of the state home would create a key on the old store.
//
// A store loses acknowledged writes in a fail-over: records are lost with their keys, as far as they are in one slot and were written
// together. What the server loses, the protocol cannot give back.
//
// All of this is checked for two processes, crashes and late packets at every step, through all states and back, by an exhaustive search
// (split_model_test.go), which the rules above cannot be removed from without being missed.
