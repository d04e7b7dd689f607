package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrRefused marks an error of an interlock: the job would not have been safe, and nothing was changed (or, in the middle of an Apply,
// nothing further).
var ErrRefused = errors.New("refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// checkApart refuses a pair of servers unless they are proved to be two separate stores and the target is a writable master. Names and
// addresses prove nothing (other host names, proxies), so it is the servers' own words that count.
func checkApart(source, target *session) error {
	for _, t := range target.nodes {
		for _, s := range source.nodes {
			if err := checkNodesApart(s, t); err != nil {
				return err
			}
		}
	}
	for _, id := range target.expected() {
		if slices.Contains(source.expected(), id) {
			return refuse("the target %s and the source %s share a server process (run_id %.8s): they are one cluster; give the new store as the target", target.addr, source.addr, id)
		}
	}
	return nil
}

func checkNodesApart(source, target *node) error {
	s, t := source.id, target.id
	if s.runID == t.runID {
		return refuse("the target %s is the source %s: both addresses reach the same server process (run_id %.8s); give the new store as the target", target.addr, source.addr, t.runID)
	}
	if t.role != "master" {
		return refuse("the target %s is not a master (role %q, replica of %s); give the master of the new store, or detach it first (REPLICAOF NO ONE)", target.addr, t.role, t.replicaOf)
	}
	if s.role != "master" && s.role != "slave" {
		return refuse("the source %s does not say whether it is a master (role %q)", source.addr, s.role)
	}
	if s.role == "slave" && !s.masterLinkUp {
		return refuse("the source %s is a replica of %s and its link is down, so it cannot be proved that the target is not its master; wait for the link, or give the master as the source", source.addr, s.replicaOf)
	}
	if s.replID == "" || t.replID == "" {
		return refuse("source and target do not both tell their master_replid (INFO replication), so it cannot be proved that they do not replicate each other")
	}
	if s.replID == t.replID {
		return refuse("the target %s and the source %s belong to one replication group (master_replid %.8s): what is changed on the one changes on the other; give the new store as the target", target.addr, source.addr, t.replID)
	}
	// The other way round is how a new store is made: restored from the source's snapshot, or its replica until it was detached, it names
	// the source's replication id as its second one.
	if s.replID2 == t.replID {
		return refuse("the source %s descends from the target %s (its master_replid2 is the target's master_replid, %.8s): it was restored from the target's snapshot or was its replica, so the target is the original; were the two mixed up?", source.addr, target.addr, t.replID)
	}
	return nil
}

// openPair opens source and target and proves them apart.
func openPair(ctx context.Context, from, to *Endpoint, targetRunIDs []string, noTouch bool) (source, target *session, err error) {
	return openProved(ctx, from, to, sessionOptions{noTouch: noTouch}, sessionOptions{runIDs: targetRunIDs})
}

func openProved(ctx context.Context, from, to *Endpoint, ofSource, ofTarget sessionOptions) (source, target *session, err error) {
	if target, err = openSession(ctx, "target", to, ofTarget); err != nil {
		return nil, nil, err
	}
	if source, err = openSession(ctx, "source", from, ofSource); err != nil {
		target.close()
		return nil, nil, fmt.Errorf("%w; without the source it cannot be proved that the target is another server", err)
	}
	if err = checkApart(source, target); err != nil {
		source.close()
		target.close()
		return nil, nil, err
	}
	return source, target, nil
}
