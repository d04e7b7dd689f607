//nolint:staticcheck // programs use deprecated commands, too
package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"net"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// capture keeps commands instead of sending them.
type capture struct{ cmds []redis.Cmder }

func (*capture) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *capture) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		c.cmds = append(c.cmds, cmd)
		return nil
	}
}

func (c *capture) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		c.cmds = append(c.cmds, cmds...)
		return nil
	}
}

// byHand calls the methods that take more than a value of each type; nil for those that are no commands, or that go-redis has not written yet.
var byHand = map[string]func(ctx context.Context, c *redis.Client){
	"BitCount":         func(ctx context.Context, c *redis.Client) { c.BitCount(ctx, "a", nil) },
	"ClientSetInfo":    func(ctx context.Context, c *redis.Client) { c.Conn().ClientSetInfo(ctx, redis.WithLibraryName("a")) },
	"ClientTracking":   func(ctx context.Context, c *redis.Client) { c.ClientTracking(ctx, true, nil) },
	"ClientTrackingOn": func(ctx context.Context, c *redis.Client) { c.ClientTrackingOn(ctx, nil) },
	"FTCreate": func(ctx context.Context, c *redis.Client) {
		c.FTCreate(ctx, "a", &redis.FTCreateOptions{}, &redis.FieldSchema{FieldName: "a", FieldType: redis.SearchFieldTypeTag})
	},
	"FTHybrid": func(ctx context.Context, c *redis.Client) {
		c.FTHybrid(ctx, "a", "b", "c", &redis.VectorFP32{Val: []byte("x")})
	},
	"GeoRadius": func(ctx context.Context, c *redis.Client) { c.GeoRadius(ctx, "a", 1, 1, &redis.GeoRadiusQuery{}) },
	"GeoRadiusByMember": func(ctx context.Context, c *redis.Client) {
		c.GeoRadiusByMember(ctx, "a", "b", &redis.GeoRadiusQuery{})
	},
	"GeoRadiusByMemberStore": func(ctx context.Context, c *redis.Client) {
		c.GeoRadiusByMemberStore(ctx, "a", "b", &redis.GeoRadiusQuery{Store: "c"})
	},
	"GeoRadiusStore": func(ctx context.Context, c *redis.Client) {
		c.GeoRadiusStore(ctx, "a", 1, 1, &redis.GeoRadiusQuery{StoreDist: "b"})
	},
	"HotKeysStart": func(ctx context.Context, c *redis.Client) {
		c.HotKeysStart(ctx, &redis.HotKeysStartArgs{Metrics: []redis.HotKeysMetric{redis.HotKeysMetricCPU}})
	},
	"JSONSetMode": func(ctx context.Context, c *redis.Client) { c.JSONSetMode(ctx, "a", "$", "1", "NX") },
	"JSONSetWithArgs": func(ctx context.Context, c *redis.Client) {
		c.JSONSetWithArgs(ctx, "a", "$", "1", &redis.JSONSetArgsOptions{})
	},
	"MemoryUsage": func(ctx context.Context, c *redis.Client) { c.MemoryUsage(ctx, "a") },
	"Monitor":     func(ctx context.Context, c *redis.Client) { c.Monitor(ctx, make(chan string)) },
	"VAdd":        func(ctx context.Context, c *redis.Client) { c.VAdd(ctx, "a", "b", &redis.VectorRef{Name: "c"}) },
	"VAddWithArgs": func(ctx context.Context, c *redis.Client) {
		c.VAddWithArgs(ctx, "a", "b", &redis.VectorRef{Name: "c"}, &redis.VAddArgs{})
	},
	"VSim":         func(ctx context.Context, c *redis.Client) { c.VSim(ctx, "a", &redis.VectorRef{Name: "c"}) },
	"VSimWithArgs": func(ctx context.Context, c *redis.Client) { c.VSimWithArgs(ctx, "a", &redis.VectorRef{Name: "c"}, nil) },
	"VSimWithArgsWithAttribs": func(ctx context.Context, c *redis.Client) {
		c.VSimWithArgsWithAttribs(ctx, "a", &redis.VectorRef{Name: "c"}, nil)
	},
	"VSimWithArgsWithScores": func(ctx context.Context, c *redis.Client) {
		c.VSimWithArgsWithScores(ctx, "a", &redis.VectorRef{Name: "c"}, nil)
	},
	"VSimWithArgsWithScoresWithAttribs": func(ctx context.Context, c *redis.Client) {
		c.VSimWithArgsWithScoresWithAttribs(ctx, "a", &redis.VectorRef{Name: "c"}, nil)
	},
	"VSimWithScores":  func(ctx context.Context, c *redis.Client) { c.VSimWithScores(ctx, "a", &redis.VectorRef{Name: "c"}) },
	"ZPopMax":         func(ctx context.Context, c *redis.Client) { c.ZPopMax(ctx, "a") },
	"ZPopMin":         func(ctx context.Context, c *redis.Client) { c.ZPopMin(ctx, "a") },
	"JSONDebugMemory": nil, "Quit": nil, "Pipeline": nil, "Pipelined": nil, "TxPipeline": nil, "TxPipelined": nil,
}

// goRedisCommands are all commands that methods of a client, a connection and a pipeline send, with the methods that do.
func goRedisCommands(t *testing.T) map[string][]redis.Cmder {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: "nowhere", MaxRetries: -1, DialerRetries: 1, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("this client sends nothing")
		},
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	caught := &capture{}
	client.AddHook(caught)

	methods := map[string]reflect.Value{}
	for _, of := range []any{client.Conn(), client} {
		v := reflect.ValueOf(of)
		for i := range v.NumMethod() {
			if f := v.Type().Method(i).Type; f.NumOut() == 1 && f.Out(0).Implements(reflect.TypeFor[redis.Cmder]()) {
				methods[v.Type().Method(i).Name] = v.Method(i)
			}
		}
	}
	for _, i := range []reflect.Type{reflect.TypeFor[redis.Cmdable](), reflect.TypeFor[redis.StatefulCmdable]()} {
		for m := range i.NumMethod() {
			name := i.Method(m).Name
			_, listed := byHand[name]
			require.True(t, listed || methods[name].IsValid(), name)
		}
	}
	for _, name := range []string{"Do", "DoRaw", "DoRawWriteTo"} { // which send what they are given
		delete(methods, name)
	}
	sent := map[string][]redis.Cmder{}
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		call, listed := byHand[name]
		caught.cmds = nil
		switch {
		case listed && call == nil:
			continue
		case listed:
			call(t.Context(), client)
		default:
			method := methods[name]
			method.Call(argumentsOf(t, method.Type()))
		}
		require.NotEmpty(t, caught.cmds, "%s sends nothing: call it by hand", name)
		sent[name] = caught.cmds
	}
	return sent
}

// argumentsOf makes arguments for a method: something of each type.
func argumentsOf(t *testing.T, f reflect.Type) (in []reflect.Value) {
	t.Helper()
	for i := range f.NumIn() {
		if f.IsVariadic() && i == f.NumIn()-1 {
			of := f.In(i).Elem()
			return append(in, something(t, of), something(t, of))
		}
		in = append(in, something(t, f.In(i)))
	}
	return in
}

// something is a value of a type; of a struct, only texts are set, as most other fields are options.
func something(t *testing.T, of reflect.Type) reflect.Value {
	t.Helper()
	switch of {
	case reflect.TypeFor[context.Context]():
		return reflect.ValueOf(t.Context())
	case reflect.TypeFor[time.Time]():
		return reflect.ValueOf(time.Unix(1, 0))
	case reflect.TypeFor[time.Duration]():
		return reflect.ValueOf(time.Second)
	}
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.Map:
		v.Set(reflect.MakeMap(of))
		v.SetMapIndex(something(t, of.Key()), something(t, of.Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, something(t, of.Elem()), something(t, of.Elem())))
	case reflect.Interface:
		v.Set(reflect.ValueOf("v"))
	case reflect.Pointer:
		v.Set(reflect.New(of.Elem()))
		v.Elem().Set(something(t, of.Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.String || f.Type() == reflect.TypeFor[[]string]() {
				f.Set(something(t, f.Type()))
			}
		}
	case reflect.String:
		v.SetString("s")
	case reflect.Bool:
		v.SetBool(true)
	default:
		require.True(t, v.CanInt() || v.CanUint() || v.CanFloat(), "make a %s", of)
		v.Set(reflect.ValueOf(1).Convert(of))
	}
	return v
}

func TestSplitKnowsEveryCommandOfGoRedis(t *testing.T) {
	t.Parallel()
	s := selectingSplit(t)
	all := goRedisCommands(t)
	require.Greater(t, len(all), 500)
	for name, cmds := range all {
		for _, cmd := range cmds {
			treatment := treatmentOf(cmd.Args())
			require.NotEqual(t, refuseUnknown, treatment.refuse, "%s: %v", name, cmd.Args())
			if treatment.refuse == "" {
				_, err := treatment.keys(cmd.Args())
				require.NotEqual(t, error(errArguments), err, "%s: %v", name, cmd.Args())
			}
			p := s.planCommand(cmd)
			require.True(t, p.err != nil || len(p.keys) == 0, "%s: no key is the split's", name)
		}
	}
}

// selectingSplit is a split that plans, and has no stores to send anything to.
func selectingSplit(t *testing.T) *Split {
	t.Helper()
	keys, err := sessions.compile()
	require.NoError(t, err)
	return &Split{id: sessions.ID, keys: keys, stores: [2]*splitStore{{side: oldSide}, {side: newSide}}}
}

// TestSplitFindersKeepWithin gives every finder what no command takes: it says so, or names positions that there are.
func TestSplitFindersKeepWithin(t *testing.T) {
	t.Parallel()
	words := []any{"0", "1", "2", "-1", "9223372036854775807", "-9223372036854775808", "4611686018427387904", "x", "", "STREAMS", "block", "STORE", "by", "get", "limit", "group", "count", "db", nil, 1.5}
	for name, treatment := range treatments {
		if treatment.keys == nil {
			continue
		}
		var try func(args []any, depth int)
		try = func(args []any, depth int) {
			at, err := treatment.keys(args)
			if err == nil {
				for _, i := range at {
					require.True(t, i > 0 && i < len(args), "%s %v: %v", name, args[1:], at)
				}
			}
			if depth == 0 {
				return
			}
			for _, w := range words {
				try(append(slices.Clip(args), w), depth-1)
			}
		}
		try([]any{name}, 3)
		try([]any{name, "1", "2"}, 2)
		try([]any{name, "a", "1", "2", "3"}, 2)
	}
}

// TestSplitReadsArgumentsAsTheyAreSent asks a server what it is sent.
func TestSplitReadsArgumentsAsTheyAreSent(t *testing.T) {
	t.Parallel()
	c := servers.Redis(t).Client
	text, number, real, yes, at, span := "鍵\x00\xff", 7, 1e21, true, time.Unix(1_700_000_000, 123).UTC(), 3*time.Second
	small, none := int8(-3), (*string)(nil)
	for _, arg := range []any{
		nil, text, &text, none, []byte(text), number, &number, int8(-3), &small, int16(-3), int32(-3), int64(math.MinInt64), uint(3), uint8(3), uint16(3), uint32(3), uint64(math.MaxUint64), uintptr(3),
		float32(0.1), real, &real, 0.1, 1e-9, math.Inf(1), (*float64)(nil), (*int)(nil), true, false, &yes, (*bool)(nil), at, &at, (*time.Time)(nil), span, &span, (*time.Duration)(nil), net.IPv4(1, 2, 3, 4),
		&url.URL{Scheme: "http", Host: "a"},
	} {
		sent, err := c.Echo(t.Context(), arg).Result()
		require.NoError(t, err, "%T", arg)
		require.Equal(t, sent, argText(arg), "%T %v", arg, arg)
	}
	for _, arg := range []any{struct{}{}, big.NewInt(1), fmt.Errorf("x"), []string{"a"}} {
		require.ErrorContains(t, c.Echo(t.Context(), arg).Err(), "can't marshal", "%T", arg)
	}
}
