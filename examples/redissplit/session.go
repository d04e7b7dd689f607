package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/redismigrate"
)

const (
	sessionLife = time.Hour
	carts       = 1000
	cartItems   = 2 // in each
)

// service is the session service: it logs in, touches, reads and logs out, and compares each answer with its record.
type service struct {
	client  redis.Cmdable // the split's; nothing here knows of it
	hits    string        // the field that this process counts in
	journal *journal

	mu     sync.Mutex
	tally  tally
	told   int   // how many complaints were printed
	failed error // the journal's
}

// use does with a session what somebody might do.
func (s *service) use(session *session) {
	dice := rand.IntN(100)
	switch {
	case dice < 5:
		s.cart(rand.IntN(carts))
	case len(session.may) > 1: // the answer of a command did not come
		if time.Now().After(session.rests) {
			s.read(session)
		}
	case session.may[0] == loggedOut:
		if dice < 50 {
			s.logIn(session)
		} else {
			s.read(session)
		}
	case dice < 50:
		s.read(session)
	case dice < 85:
		s.touch(session)
	case dice < 90:
		s.expiry(session)
	case !session.shared:
		s.logOut(session)
	}
}

func (s *service) logIn(session *session) {
	session.last++
	if session.key = session.slot; session.last%2 == 0 { // half of them have a key that never was before
		session.key += ":" + strconv.FormatInt(session.last, 10)
	}
	next := value{login: session.last}
	s.write(session, next, func(ctx context.Context) error {
		_, err := s.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, session.key, "login", next.login, s.hits, 0)
			p.Expire(ctx, session.key, sessionLife)
			return nil
		})
		return err
	})
}

func (s *service) touch(session *session) {
	next := session.may[0]
	next.hits++
	var hits int64
	if s.write(session, next, func(ctx context.Context) (err error) {
		hits, err = s.client.HIncrBy(ctx, session.key, s.hits, 1).Result()
		return err
	}) {
		got := value{next.login, hits}
		if hits == 1 && next.hits > 1 { // it has begun anew
			got = loggedOut
		}
		s.compare(session, got, "HINCRBY")
	}
}

func (s *service) logOut(session *session) {
	was := session.may[0]
	var deleted int64
	if s.write(session, loggedOut, func(ctx context.Context) (err error) {
		deleted, err = s.client.Del(ctx, session.key).Result()
		return err
	}) && deleted == 0 {
		session.may = []value{was}
		s.compare(session, loggedOut, "DEL")
	}
}

func (s *service) read(session *session) {
	var fields []any
	if s.send(func(ctx context.Context) (err error) {
		fields, err = s.client.HMGet(ctx, session.key, "login", s.hits).Result()
		return err
	}) == nil {
		got := value{number(fields[0]), number(fields[1])}
		if got.login == 0 {
			got = loggedOut
		}
		s.compare(session, got, "HMGET")
	}
}

// number is a field that holds one, 0 if there is none.
func number(field any) int64 {
	text, _ := field.(string)
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func (s *service) expiry(session *session) {
	var left time.Duration
	if s.send(func(ctx context.Context) (err error) {
		left, err = s.client.TTL(ctx, session.key).Result()
		return err
	}) == nil {
		got := session.may[0]
		switch {
		case left == -2: // there is no key
			got = loggedOut
		case left < sessionLife-10*time.Minute || left > sessionLife:
			got = value{login: -1} // it is as none of its log-ins has left it
		}
		s.compare(session, got, fmt.Sprintf("TTL %s", left))
	}
}

// cart reads a key that is not the split's, by the same client.
func (s *service) cart(n int) {
	var items int64
	if s.send(func(ctx context.Context) (err error) {
		items, err = s.client.LLen(ctx, fmt.Sprintf("cart:%d", n)).Result()
		return err
	}) == nil {
		found := right
		if items != cartItems {
			found = lost
		}
		s.count(func(t *tally) { t.found(found) })
	}
}

// write sends a command that makes of a session what is next, and reports whether its answer came.
func (s *service) write(session *session, next value, do func(context.Context) error) bool {
	was := session.may[0]
	session.may = []value{was, next}
	s.note(session) // before it is sent: should this process be killed now, the next one knows that it may be either
	err := s.send(do)
	switch {
	case err == nil:
		session.may = []value{next}
	case notSent(err):
		session.may = []value{was}
	default:
		session.rests = time.Now().Add(settling)
		return false
	}
	s.note(session)
	return err == nil
}

// notSent says that a command was certainly not carried out.
func notSent(err error) bool {
	var refused *redismigrate.SplitRefusedError
	return errors.Is(err, redismigrate.ErrSplitState) || errors.As(err, &refused)
}

func (s *service) note(session *session) {
	if err := s.journal.note(session); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed = err
	}
}

// send sends a command, and counts it. It is not cut short when the process is to end: its answer is wanted.
func (s *service) send(do func(context.Context) error) error {
	start := time.Now()
	err := do(context.Background())
	took := time.Since(start)
	s.count(func(t *tally) {
		t.Commands++
		t.Took += took
		if err != nil {
			t.Errors++
			if !notSent(err) {
				t.Uncertain++
			}
			s.complain("%v", err)
		}
	})
	return err
}

// compare compares an answer with the record. What was read is what is compared with next time, so that what is lost is counted once.
func (s *service) compare(session *session, got value, by string) {
	found := judge(session.may, got)
	s.count(func(t *tally) {
		if t.found(found); found != right {
			s.complain("%s: it may be %v, and %s says %v", session.key, session.may, by, got)
		}
	})
	if len(session.may) > 1 || session.may[0] != got {
		session.may = []value{got}
		s.note(session)
	}
}

func (s *service) count(f func(*tally)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.tally)
}
