package redismigrate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestACLRulesSayWhatTheSelectorSays(t *testing.T) {
	for name, c := range map[string]struct {
		keep  Selector
		app   AppAccess
		rules string
		notes []string
	}{
		"least":     {sessions, AppAccess{}, "reset on >{password} ~session:* +@read +@connection +@write -@scripting -@dangerous", nil},
		"read only": {sessions, AppAccess{ReadOnly: true}, "reset on >{password} %R~session:* +@read +@connection -@scripting -@dangerous", nil},
		"more": {
			Selector{Include: []string{"a:*", "b[0-9]?", "a:*"}},
			AppAccess{Name: "shop", Transactions: true, Channels: []string{"news:*"}, Cluster: true, Extra: []string{"+info"}},
			"reset on >{password} ~a:* ~b[0-9]? &news:* +@read +@connection +@write +@transaction -@scripting +@pubsub -@dangerous +cluster|slots +cluster|shards +cluster|nodes +cluster|myid +cluster|keyslot +info",
			[]string{"every node of the cluster"},
		},
		"what an ACL cannot": {
			Selector{ID: "s", Include: []string{"s:*"}, Exclude: []string{"s:tmp:*"}, Match: func(string) bool { return true }}, AppAccess{},
			"reset on >{password} ~s:* +@read +@connection +@write -@scripting -@dangerous", []string{`Exclude names (["s:tmp:*"])`, "cannot express a function"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := ACLRules(c.keep, c.app)
			require.NoError(t, err)
			require.Equal(t, c.rules, strings.Join(u.Rules, " "))
			notes := strings.Join(u.Notes, "\n")
			for _, note := range append(c.notes, "SCAN") {
				require.Contains(t, notes, note)
			}
			require.Len(t, u.Notes, len(c.notes)+1)
			require.NotEmpty(t, u.Checks)
		})
	}
	for says, bad := range map[string]Selector{
		"selects nothing":                   {},
		"patterns only":                     {ID: "f", Match: func(string) bool { return true }},
		"holds white space":                 {Include: []string{"a b*"}},
		"the user's name":                   {ID: "two words", Include: []string{"a*"}},
		"Exclude patterns and so selects":   {Exclude: []string{"a"}},
		"never closed":                      {Include: []string{"["}},
		`"zero\x00*" is empty or holds whi`: {Include: []string{"zero\x00*"}},
	} {
		_, err := ACLRules(bad, AppAccess{})
		require.ErrorContains(t, err, says)
	}
	_, err := ACLRules(sessions, AppAccess{Extra: []string{">secret"}})
	require.ErrorContains(t, err, "password")
	require.NotContains(t, err.Error(), "secret")
	_, err = ACLRules(sessions, AppAccess{Channels: []string{"a b"}})
	require.ErrorContains(t, err, "channel pattern")

	u, err := ACLRules(Selector{ID: "カート", Include: []string{`カ"ート:*`, "it's:*", "b\\\x01*"}}, AppAccess{})
	require.NoError(t, err)
	require.Equal(t, `ACL SETUSER カート reset on >{password} "~カ\"ート:*" "~it's:*" "~b\\\x01*" +@read +@connection +@write -@scripting -@dangerous`, u.String())
	require.Equal(t, "on ~session:* +@read +@connection +@write -@scripting -@dangerous", ACLUser{Rules: strings.Fields("reset on >{password} ~session:* +@read +@connection +@write -@scripting -@dangerous")}.AccessString())
}

func TestJobACLRulesNameSingleCommands(t *testing.T) {
	card := &Server{Commands: map[string]Permission{"HPEXPIRETIME": Absent}}
	u, err := JobACLRules(sessions, JobAccess{Jobs: []ACLJob{CopyJob, VerifyJob}, Server: card})
	require.NoError(t, err)
	require.NotContains(t, u.Rules, "+hpexpiretime", "an ACL refuses what the server does not have")
	require.NotContains(t, u.Rules, "+cluster|slots")
	for _, rule := range u.Rules {
		require.False(t, strings.HasPrefix(rule, "~") || strings.Contains(rule, "@"), "of a source: %s", rule)
	}
	for _, p := range probes {
		require.False(t, p.how == onTarget && slices.Contains(u.Rules, "+"+p.acl()), "of a source: %s", p.name)
	}
	require.Contains(t, u.Rules, "%R~session:*")
	u, err = JobACLRules(sessions, JobAccess{Jobs: []ACLJob{PruneJob}, Server: card, Target: true})
	require.NoError(t, err)
	require.Contains(t, u.Rules, "~*")
	u, err = JobACLRules(Selector{ID: "f", Match: func(string) bool { return true }}, JobAccess{Jobs: []ACLJob{CopyJob}, Server: card})
	require.NoError(t, err)
	require.Contains(t, u.Rules, "%R~*")
	require.Contains(t, u.Notes[0], "gets all keys")
	for says, o := range map[string]JobAccess{
		"no job is named":       {Server: card},
		"no card of the server": {Jobs: []ACLJob{CopyJob}},
		`no job "dance"`:        {Jobs: []ACLJob{"dance"}, Server: card},
	} {
		_, err := JobACLRules(sessions, o)
		require.ErrorContains(t, err, says)
	}
}

func TestACLRulesOnRealServers(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.RedisKind{{Version: "7.0"}, {Version: "8.0"}, {Flavour: "valkey", Version: "9.1"}} {
		t.Run(kind.String(), func(t *testing.T) {
			s := servers.OwnRedisOf(t, kind)
			ctx := t.Context()
			e := &Endpoint{URL: s.URL}
			users := func() string { return fmt.Sprint(s.Client.Do(ctx, "ACL", "LIST").Val()) }
			before := users()
			for name, app := range map[string]AppAccess{
				"least": {}, "read only": {ReadOnly: true},
				"all": {Transactions: true, Scripts: true, Cluster: true, Channels: []string{"news:*"}, Extra: []string{"+info", "+client|list"}},
			} {
				u, err := ACLRules(Selector{ID: "s", Include: []string{"session:*", "カート:?"}}, app)
				require.NoError(t, err)
				r, err := CheckACL(ctx, e, u, CheckACLOptions{CreateTemporary: true})
				require.NoError(t, err)
				require.Equal(t, Match, r.Verdict(), "%s: %s", name, r)
				require.Equal(t, before, users(), "the temporary user is gone")

				// Without the user there is nothing to check, and with wider or narrower rules the check fails.
				r, err = CheckACL(ctx, e, u, CheckACLOptions{})
				require.NoError(t, err)
				require.Equal(t, Unknown, r.Verdict(), "there is no such user: %s", r)
				for _, wrong := range []string{"+flushall", "~*", "-get", "+config"} {
					bad := u
					bad.Rules = append(slices.Clone(u.Rules), wrong)
					r, err = CheckACL(ctx, e, bad, CheckACLOptions{CreateTemporary: true})
					require.NoError(t, err)
					require.Equal(t, Mismatch, r.Verdict(), "%s %s: %s", name, wrong, r)
				}
			}
			u, err := ACLRules(sessions, AppAccess{})
			require.NoError(t, err)
			u.Rules = append(u.Rules, "+no-such-command")
			r, err := CheckACL(ctx, e, u, CheckACLOptions{CreateTemporary: true})
			require.NoError(t, err)
			require.Equal(t, Mismatch, r.Verdict())
			require.Contains(t, r.String(), "does not take the rules")
			require.NotContains(t, r.String(), ">")
			require.Equal(t, before, users())

			// A checker who may not check.
			require.NoError(t, s.Client.Do(ctx, "ACL", "SETUSER", "plain", "on", ">p", "~*", "+@all", "-@dangerous", "+info").Err())
			limited := &Endpoint{URL: "redis://plain:p@" + s.Addr}
			r, err = CheckACL(ctx, limited, u, CheckACLOptions{})
			require.NoError(t, err)
			require.Equal(t, Unknown, r.Verdict())
			require.Contains(t, r.String(), "NOPERM")
			_, err = CheckACL(ctx, limited, u, CheckACLOptions{CreateTemporary: true})
			require.ErrorContains(t, err, "create a temporary user")
			_, err = CheckACL(ctx, e, ACLUser{Name: "x"}, CheckACLOptions{})
			require.ErrorContains(t, err, "no Checks")
			require.Equal(t, Unknown, ACLReport{}.Verdict())
		})
	}
}

// The jobs run with the rules that are made for them, and the source's user cannot write.
func TestJobsRunWithTheirOwnRules(t *testing.T) {
	t.Parallel()
	source, target := ownPair(t)
	fillMixed(t, source, 840)
	unchanged(t, source)
	ctx := t.Context()
	limited := func(s *servers.RedisServer, isTarget bool, jobs ...ACLJob) *Endpoint {
		card := inspected(t, all(s), InspectOptions{Target: isTarget, Keys: sessions})
		u, err := JobACLRules(sessions, JobAccess{Jobs: jobs, Target: isTarget, Server: card})
		require.NoError(t, err)
		args := []any{"ACL", "SETUSER", u.Name}
		for _, rule := range u.Rules {
			args = append(args, strings.ReplaceAll(rule, "{password}", "p"))
		}
		require.NoError(t, s.Client.Do(ctx, args...).Err())
		r, err := CheckACL(ctx, all(s), u, CheckACLOptions{})
		require.NoError(t, err)
		require.Equal(t, Match, r.Verdict(), r.String())
		return &Endpoint{URL: "redis://" + u.Name + ":p@" + s.Addr, AllDBs: true}
	}
	move := Move{From: limited(source, false, CopyJob), To: limited(target, true, CopyJob), Keys: sessions}
	r, err := Copy(ctx, move, CopyOptions{})
	require.NoError(t, err)
	require.Positive(t, r.Copied)

	move = Move{From: limited(source, false, VerifyJob), To: limited(target, true, VerifyJob), Keys: sessions}
	verified(t, move)

	copied(t, source, target)
	p, err := PlanPrune(ctx, limited(source, false, PruneJob), limited(target, true, PruneJob), sessions, PruneOptions{Valid: time.Hour, AllowClients: true})
	require.NoError(t, err)
	result, err := p.Apply(ctx, p.Confirmation())
	require.NoError(t, err)
	require.Positive(t, result.Deleted)
	verified(t, move)

	card := inspected(t, limited(source, false, InspectJob, MeasureJob), InspectOptions{Keys: sessions})
	require.Equal(t, 12, card.DumpVersion)
	require.Empty(t, card.Untold["Clients"])
	permitted(t, card, Forbidden, "UNLINK", "DEL", "RESTORE", "SET", "FLUSHALL", "MIGRATE", "CONFIG SET", "ACL SETUSER")
	permitted(t, card, Allowed, "DUMP", "SCAN")
}
