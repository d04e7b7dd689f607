package redismigrate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Who may not look whether somebody uses the target has not proved that nobody does.
func TestATargetThatDoesNotSayWhoIsConnectedIsRefused(t *testing.T) {
	source, target := ownPair(t)
	fillMixed(t, source, 300)
	copied(t, source, target)
	ctx := t.Context()
	require.NoError(t, target.Client.Do(ctx, "ACL", "SETUSER", "blind", "on", ">secret", "~*", "+@all", "-client|list").Err())
	blind := &Endpoint{URL: "redis://blind:secret@" + target.Addr, AllDBs: true}
	p, err := PlanPrune(ctx, all(source), blind, sessions, PruneOptions{})
	require.NoError(t, err)
	require.Contains(t, p.String(), "could not be told, so Apply needs AllowClients")
	before := digest(t, target)
	_, err = p.Apply(ctx, p.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "whether other clients are connected could not be told")
	require.ErrorContains(t, err, "set AllowClients when nobody is")
	require.NotContains(t, err.Error(), "secret")
	require.Equal(t, before, digest(t, target))
	require.NoError(t, p.Discard(ctx))

	p, err = PlanPrune(ctx, all(source), blind, sessions, PruneOptions{AllowClients: true})
	require.NoError(t, err)
	r, err := p.Apply(ctx, p.Confirmation())
	require.NoError(t, err)
	require.True(t, r.Complete)
}
