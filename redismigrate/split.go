package redismigrate

// # The protocol of a live split
//
// What follows is the protocol. split_errand.go decides what a command does next on its way; a model of both, two processes and two stores, is searched
// exhaustively by the tests, before servers are trusted with it. The rest of split_*.go carries it out: split_script.go what a store does as a whole, split_carry.go an errand through
// the stores, split_route.go and split_pipeline.go where commands go, split_sweep.go the mover, split_step.go the steps between states.
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
// The command runs right behind arrive, in the same round trip; finish comes after it, at its own time. A process that does not know where a key is begins with depart: if the key
// is on the other side, that is the first of two round trips, where a command that finds its key needs one.
//
// A key that does not exist is handed over like any other, with no value, before it is created: else a process in home and one in away
// would create it on either side. Only a read of a key that is nowhere leaves no record: the old store says that it has neither the key nor a record, then the new one that it has
// neither; at one of these moments the key was nowhere. Expiries are points in time, so that a value that
// expires on its way does not arrive.
//
// A store may not take a value: it is full, or does not read it. Then the hand-over is called off, so that the key can be used where it was:
//
//	refuse  on B: unless its record is of hand-over n+1 or a later one, the record becomes gone (n+1), which no arrive of that number can change any more
//	return  on A: if its record still is leaving (n+1), it becomes here (n+1) again
//
// The command is told so and does not run; in the state home it then runs on the old store, which is the way back when the new one is full.
//
// # What a step between states needs
//
// Each step waits until every process is in the present state, none of its commands being under way. Nobody keeps a list of the processes: each reads the state again and again, uses
// one for no longer than MaxAge, and gives each command no longer than CommandTimeout; so after both, the state before is nowhere in use. What a server has been sent before is
// carried out before it answers two PINGs, and what the kernel could not send in that time it throws away (split_cutoff_linux.go). A process that stands still between the look
// at its state and the sending of a command for longer than all that is the limit of this; its answer would come too late, and is not believed. Beyond that
//
//   - home to old: no key is on the new store, not even one that does not exist but has a record that says here, and none is leaving;
//   - away to new: no key is on the old store, in the same sense, and none is leaving. Nobody creates one there any more: a process in away creates on the
//     new store, and there is none in home. A first hand-over of no value may be under way, as there always are some; a second one may not: a value that somebody in the state
//     new creates meanwhile would be overwritten by it;
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
// A packet comes late: arrive, finish, refuse and return are of a number that is over, and do nothing. Everything else must not be under way any more when
// the state after next is entered, which is what the waiting is for: a command of the states old and new looks at no record, a depart begins
// a hand-over in the direction of its sender's state, and a command of the state home would create a key on the old store.
//
// A store loses acknowledged writes in a fail-over: records are lost with their keys, as far as they are in one slot and were written
// together. What the server loses, the protocol cannot give back.
//
// All of this is checked for two processes, crashes and late packets at every step, through all states and back, by an exhaustive search
// (split_model_test.go), which the rules above cannot be removed from without being missed.
