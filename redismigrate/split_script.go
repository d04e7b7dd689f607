package redismigrate

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Records, and the scripts that look at them. Each script touches the keys of one slot only, and is carried out by the server as a whole.
//
// A record is the standing (h, l or g for here, leaving and gone) and the number of the key's last hand-over: "l12".

// recordPrefix begins the names of records, and of all else that a split keeps in a store.
const recordPrefix = "tashikame:split:"

// recordOf is the name of a key's record: of its own, and in the key's slot.
func recordOf(key string) string { return recordPrefix + tagBeside(key) + ":" + key }

// recordMark is how a store is told which of the two it is.
func (s side) recordMark() string {
	if s == oldSide {
		return "o"
	}
	return "n"
}

// scriptRecord defines look, which reads a record: standing, number, and whether there is one. Without one a key is here on the old store; on the new store it is here if
// it exists, as somebody in the state new has created it.
const scriptRecord = `
local function look(record, key, store)
  local r = redis.call('GET', record)
  if r then return string.sub(r, 1, 1), tonumber(string.sub(r, 2)), true end
  if store == 'o' or redis.call('EXISTS', key) == 1 then return 'h', 0, false end
  return 'g', 0, false
end
local function note(record, standing, number) redis.call('SET', record, standing .. string.format('%d', number)) end
`

// elsewhere begins the error by which a script says that it has not run the command: the number of the key that is not here, and its standing.
const elsewhere = "TASHIKAME-SPLIT-ELSEWHERE"

// urgentScript writes also when the server is full: else nothing could be refused there, and no step be taken back. Servers before 7.0 do not know how to ask for that.
type urgentScript struct{ anyway, plain *redis.Script }

func newUrgentScript(text string) urgentScript {
	return urgentScript{redis.NewScript("#!lua flags=allow-oom\n" + text), redis.NewScript(text)}
}

func (u urgentScript) run(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd {
	cmd := u.anyway.Run(ctx, c, keys, args...)
	if notCompiled(cmd.Err()) {
		return u.plain.Run(ctx, c, keys, args...)
	}
	return cmd
}

// notCompiled says that the server does not know what stands in the first line.
func notCompiled(err error) bool {
	return isServerError(err) && strings.Contains(err.Error(), "rror compiling script")
}

// scriptRunText runs a command if all of its keys are here. KEYS: the records, then the keys. ARGV: how many keys, which store, the command. Lua's numbers are exact up to 2^53: what a
// counter has come to beyond that is read back as text, which go-redis takes for a number as well.
const scriptRunText = `
local n, store = tonumber(ARGV[1]), ARGV[2]
for i = 1, n do
  local r, s = redis.call('GET', KEYS[i]), 'g'
  if r then s = string.sub(r, 1, 1) elseif store == 'o' or redis.call('EXISTS', KEYS[n + i]) == 1 then s = 'h' end
  if s ~= 'h' then return {err = '` + elsewhere + ` ' .. (i - 1) .. ' ' .. s} end
end
local reply = redis.pcall(unpack(ARGV, 3))
if type(reply) == 'number' and math.abs(reply) >= 2 ^ 53 then
  local name = string.upper(ARGV[3])
  if name == 'HINCRBY' then return redis.call('HGET', ARGV[4], ARGV[5]) end
  if name == 'INCR' or name == 'INCRBY' or name == 'DECR' or name == 'DECRBY' then return redis.call('GET', ARGV[4]) end
end
return reply
`

var scriptRun = redis.NewScript(scriptRunText)

// mostScripted is how many arguments a command in a script may have: Lua's stack holds 8,000.
const mostScripted = 7000

// scriptDepart lets a key leave that is here, and reads what is leaving. KEYS: record, key. ARGV: which store; "unless": not if the key is not there and never left; "help": only
// what is leaving already. Returns the standing ("a": absent), the number, the expiry and the value.
var scriptDepart = newUrgentScript(scriptRecord + `
local s, q, recorded = look(KEYS[1], KEYS[2], ARGV[1])
if s == 'h' and ARGV[2] ~= 'help' then
  if ARGV[2] == 'unless' and not recorded and redis.call('EXISTS', KEYS[2]) == 0 then return {'a', 0} end
  s, q = 'l', q + 1
  note(KEYS[1], s, q)
end
if s ~= 'l' then return {s, q} end
local value = redis.call('DUMP', KEYS[2])
if not value then return {s, q, -1} end
local at = redis.pcall('PEXPIRETIME', KEYS[2])
if type(at) == 'table' then -- before 7.0
  at = redis.call('PTTL', KEYS[2])
  if at >= 0 then
    local now = redis.call('TIME')
    at = at + now[1] * 1000 + math.floor(now[2] / 1000)
  end
end
return {s, q, string.format('%d', at), value}
`)

// scriptArrive takes what has left the other side. KEYS: record, key. ARGV: which store, number, expiry, value ("": there is none). Returns the standing and the number that the
// record has then.
var scriptArrive = redis.NewScript(scriptRecord + `
local s, q, recorded = look(KEYS[1], KEYS[2], ARGV[1])
local number = tonumber(ARGV[2])
if recorded and q >= number then return {s, q} end
if recorded or redis.call('EXISTS', KEYS[2]) == 0 then
  local now = redis.call('TIME')
  local at = tonumber(ARGV[3])
  if ARGV[4] == '' or at >= 0 and at <= now[1] * 1000 + math.floor(now[2] / 1000) then
    redis.call('DEL', KEYS[2])
  else
    local done
    if at < 0 then
      done = redis.pcall('RESTORE', KEYS[2], '0', ARGV[4], 'REPLACE')
    else
      done = redis.pcall('RESTORE', KEYS[2], ARGV[3], ARGV[4], 'ABSTTL', 'REPLACE')
    end
    if done.err then return done end
  end
end
note(KEYS[1], 'h', number)
return {'h', number}
`)

// scriptFinish forgets what has arrived on the other side. KEYS: record, key. ARGV: which store, number.
var scriptFinish = newUrgentScript(scriptRecord + `
local s, q = look(KEYS[1], KEYS[2], ARGV[1])
if s ~= 'l' or q ~= tonumber(ARGV[2]) then return 0 end
redis.call('UNLINK', KEYS[2])
note(KEYS[1], 'g', q)
return 1
`)

// scriptRefuse notes that a hand-over will never arrive. KEYS: record, key. ARGV: which store, number. Returns the standing and the number that the record has then.
var scriptRefuse = newUrgentScript(scriptRecord + `
local s, q, recorded = look(KEYS[1], KEYS[2], ARGV[1])
local number = tonumber(ARGV[2])
if recorded and q >= number then return {s, q} end
if not recorded and redis.call('EXISTS', KEYS[2]) == 1 then s = 'h' else s = 'g' redis.call('DEL', KEYS[2]) end
note(KEYS[1], s, number)
return {s, number}
`)

// scriptReturn keeps what the other side has refused. KEYS: record, key. ARGV: which store, number.
var scriptReturn = newUrgentScript(scriptRecord + `
local s, q = look(KEYS[1], KEYS[2], ARGV[1])
if s ~= 'l' or q ~= tonumber(ARGV[2]) then return 0 end
note(KEYS[1], 'h', q)
return 1
`)

// wrapped is a command inside a script: what is sent is the script, what comes back is read as the command's own reply.
type wrapped struct {
	redis.Cmder
	args []any
}

// Args implements redis.Cmder for what writes the command to a connection.
func (w wrapped) Args() []any { return w.args }

// Name implements redis.Cmder.
func (w wrapped) Name() string { return w.args[0].(string) }

// inScript puts a command into scriptRun. free: see ask. Of a cluster the slot is that of the command's own first key.
func inScript(p *plannedCommand, s side, free, byHash bool) wrapped {
	cmd, guarded := p.cmd, p.keys
	own := cmd.Args()
	args := make([]any, 0, 5+2*len(guarded)+len(own))
	if byHash {
		args = append(args, "evalsha", scriptRun.Hash())
	} else {
		args = append(args, "eval", scriptRunText)
	}
	args = append(args, strconv.Itoa(2*len(guarded)))
	for _, k := range guarded {
		args = append(args, recordOf(k))
	}
	for _, k := range guarded {
		args = append(args, k)
	}
	store := s.recordMark()
	if free {
		store = oldSide.recordMark() // where no record counts as here
	}
	args = append(args, strconv.Itoa(len(guarded)), store)
	args = append(args, own...)
	cmd.SetFirstKeyPos(int8(p.first)) //nolint:gosec // checked by the caller
	return wrapped{cmd, args}
}
