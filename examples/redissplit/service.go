package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/tashikame-go/tashikame/redismigrate"
)

const (
	lanes      = 8   // requests that a process serves at a time
	ownOf      = 480 // sessions that one process alone writes
	sharedOf   = 16  // sessions that both touch
	pause      = 8 * time.Millisecond
	reportEach = 100 * time.Millisecond
	complaints = 20
)

// serve is a process of the service. It serves until ctx ends, or its standard input does because the parent is no more.
func serve(ctx context.Context, name string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	split, err := openSplit(ctx, os.Getenv(oldEnv), os.Getenv(newEnv))
	if err != nil {
		return err
	}
	defer split.Close()
	client := split.Client() // a *redis.Client, used instead of the one that the service had

	sessions := sessionsOf(name)
	if err := readJournal(os.Getenv(journalEnv), sessions); err != nil {
		return err
	}
	journal, err := openJournal(os.Getenv(journalEnv))
	if err != nil {
		return err
	}
	defer journal.close()
	s := &service{client: client, hits: "hits:" + name, journal: journal}
	s.serve(ctx, sessions, func() { s.report(split, os.Stdout) })
	return s.failed
}

// sessionsOf are the sessions that a process writes, as they are at first.
func sessionsOf(name string) (list []*session) {
	for i := range ownOf {
		list = append(list, &session{slot: fmt.Sprintf("session:%s:%d", name, i)})
	}
	for i := range sharedOf {
		list = append(list, &session{slot: fmt.Sprintf("session:shared:%d", i), shared: true})
	}
	for _, s := range list {
		s.key, s.last, s.may = s.slot, 1, []value{{login: 1}}
	}
	return list
}

// serve reads all sessions, uses them until ctx ends, and reads them all again.
func (s *service) serve(ctx context.Context, sessions []*session, report func()) {
	shares := make([][]*session, lanes) // a session is used by one lane only
	for i, session := range sessions {
		if len(session.may) > 1 {
			session.rests = time.Now().Add(settling)
		}
		shares[i%lanes] = append(shares[i%lanes], session)
	}
	inLanes := func(do func(share []*session)) {
		var wg sync.WaitGroup
		for _, share := range shares {
			wg.Go(func() { do(share) })
		}
		wg.Wait()
	}
	inLanes(s.readAll)
	report()
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		for ctx.Err() == nil {
			report()
			wait(ctx, reportEach)
		}
	}()
	inLanes(func(share []*session) {
		for ctx.Err() == nil {
			s.use(share[rand.IntN(len(share))])
			wait(ctx, pause)
		}
	})
	<-reported
	inLanes(func(share []*session) {
		for _, session := range share { // what is uncertain must have come to rest
			if len(session.may) > 1 {
				time.Sleep(time.Until(session.rests))
				s.read(session)
			}
		}
		s.readAll(share)
	})
	report()
}

func (s *service) readAll(share []*session) {
	for _, session := range share {
		if len(session.may) == 1 {
			s.read(session)
		}
	}
}

// report prints the counters.
func (s *service) report(split *redismigrate.Split, out io.Writer) {
	stats := split.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.ToNew, s.tally.ToOld = stats.ToNew, stats.ToOld
	if err := json.NewEncoder(out).Encode(s.tally); err != nil {
		s.failed = errors.Join(s.failed, err)
	}
}

// complain prints what somebody should know of, not too often.
func (s *service) complain(format string, args ...any) {
	if s.told++; s.told <= complaints {
		fmt.Fprintf(os.Stderr, "redissplit: "+s.hits+": "+format+"\n", args...)
	}
}

// wait waits, unless ctx ends before.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
