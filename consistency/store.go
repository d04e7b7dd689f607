package consistency

import (
	"context"
	"errors"
)

// ErrConflict says that a State was not saved because somebody else saved that check's state since it was loaded. Nothing was changed.
var ErrConflict = errors.New("consistency: another writer has saved this check's state in between")

// ErrNewerStore says that what a Store holds was written by a newer version of this package. Nothing was changed.
var ErrNewerStore = errors.New("consistency: the stored state was written by a newer version of this package: update the program that failed, or give it a store of its own")

// A Store remembers the State of each check between runs. Package consistencytest has the conformance suite. Names that begin with a control character, which no check may have,
// are the Runner's own: there it remembers who was told a digest. Operations that take longer than 10 s are given up.
type Store interface {
	// Load returns what was last saved for the check, with Version set; a zero State (Version 0, Check set) if nothing was.
	// An error means that the state is not known: it must not be taken as "nothing was saved".
	Load(ctx context.Context, check string) (State, error)
	// Save keeps s, all or nothing, if the stored version is still s.Version; else it returns an error for which errors.Is(err, ErrConflict) holds.
	// It returns the new version.
	Save(ctx context.Context, check string, s State) (version int64, err error)
}

// A Locker lets one runner at a time work, over many processes.
type Locker interface {
	// Acquire returns as soon as the lock is held, or ErrLocked if somebody else holds it. held ends when the lock is lost; release gives it back.
	Acquire(ctx context.Context) (held context.Context, release func(), err error)
}

// ErrLocked says that another runner holds the lock, so that this run is not needed. It is not a failure.
var ErrLocked = errors.New("consistency: another runner holds the lock")
