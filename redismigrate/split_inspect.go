package redismigrate

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// maxSplitSkew is by how much the stores' clocks may differ: expiries are handed over as points in time.
const maxSplitSkew = 5 * time.Second

// inspect looks at both stores, and refuses what could not be carried through and back. It writes nothing.
func (s *Split) inspect(ctx context.Context, m Move) (clusters [2]bool, err error) {
	from, to, err := openPair(ctx, m.From, m.To, nil, true)
	if err != nil {
		return clusters, err
	}
	defer from.close()
	defer to.close()
	if err := checkApart(from, to); err != nil {
		return clusters, err
	}
	source, target, within, err := clocks(ctx, from, to)
	if err != nil {
		return clusters, err
	}
	if err := judgeSkew(target.Sub(source), within, maxSplitSkew, to.addr); err != nil {
		return clusters, err
	}
	var cards [2]*Server
	for i, e := range []*Endpoint{m.From, m.To} {
		if cards[i], err = inspect(ctx, e, InspectOptions{Target: true}); err != nil { // the way back writes to the old store, too
			return clusters, err
		}
	}
	if err := judgeSplitStores(cards[0], cards[1]); err != nil {
		return clusters, err
	}
	return [2]bool{from.cluster != nil, to.cluster != nil}, nil
}

// judgeSplitStores refuses stores between which keys could not go to and fro.
func judgeSplitStores(old, fresh *Server) error {
	for _, way := range []struct {
		from, to   *Server
		name, back string
	}{{old, fresh, "new", "old"}, {fresh, old, "old", "new"}} {
		takes, told := way.to.TakesPayload(way.from.DumpVersion)
		switch {
		case way.from.DumpVersion == 0:
			return refuse("the %s store does not tell which version its DUMP writes (%s), so that it is not known whether the %s store reads its values", way.back, way.from.Untold["DumpVersion"], way.name)
		case !told:
			return refuse("the %s store does not tell which values its RESTORE takes (%s), so that it is not known whether keys could come to it", way.name, way.to.Untold["RestoreVersion"])
		case !takes:
			return refuse("the %s store does not read the values of the %s one (RESTORE takes payloads of version %s, DUMP writes version %d), so that keys could not go to and fro; give both the same version, or go over in a maintenance window (Copy)",
				way.name, way.back, rangesInWords(way.to.RestoreVersions), way.from.DumpVersion)
		}
	}
	for i, c := range []*Server{old, fresh} {
		if strings.HasPrefix(c.Policy, "allkeys-") {
			return refuse("the %s store may evict any key when its memory is full (maxmemory-policy %s), also the records that say where a key is; set volatile-lru, volatile-ttl or noeviction while the split lasts", sideNames[i], c.Policy)
		}
		for _, name := range []string{"EVAL", "DUMP", "RESTORE", "SCAN"} {
			if p, ok := c.Commands[name]; ok && (p == Forbidden || p == Absent) {
				return refuse("the %s store does not allow this user %s, which a split needs: see Server.Commands", sideNames[i], name)
			}
		}
	}
	return nil
}

// Begin declares the state old, in which nothing is moved, for a split whose state is kept in the new store. It is called once, by the operator. A split that has begun stays as it is.
func (s *Split) Begin(ctx context.Context) error {
	if s.kept == nil {
		return fmt.Errorf("redismigrate: split %s: its state is kept elsewhere (SplitOptions.States): write %q there", s.id, SplitOld)
	}
	_, _, err := s.kept.read(ctx)
	switch {
	case err == nil:
		return nil
	case s.lease.Load().err == nil || !isNotBegun(err):
		return fmt.Errorf("redismigrate: split %s: begin: %w", s.id, err)
	}
	if err := s.kept.write(ctx, "", SplitOld); err != nil {
		return fmt.Errorf("redismigrate: split %s: begin: %w", s.id, err)
	}
	s.readState(ctx)
	return nil
}
