package explainguard

import (
	"slices"
	"strconv"

	"github.com/valyala/fastjson"
)

// object is a JSON object of a server's answer. Servers and versions differ in what they put where, so it is read
// loosely: a missing or odd value is the zero value, and unknown for a number.
type object = *fastjson.Value

// parsers are kept for the next document; nothing of a Plan may point into one.
var parsers fastjson.ParserPool

func str(d object, key string) string {
	v := d.Get(key)
	if v == nil || v.Type() != fastjson.TypeString {
		return ""
	}
	return string(v.GetStringBytes())
}

func isTrue(d object, key string) bool { return d.GetBool(key) }

func has(d object, key string) bool { return d.Exists(key) }

func num(d object, key string) float64 {
	v := d.Get(key)
	if v == nil {
		return unknown
	}
	switch v.Type() {
	case fastjson.TypeNumber:
		if f, err := v.Float64(); err == nil && f >= 0 {
			return f
		}
	case fastjson.TypeString: // JSON v1 writes percentages and costs as strings
		if f, err := strconv.ParseFloat(string(v.GetStringBytes()), 64); err == nil && f >= 0 {
			return f
		}
	}
	return unknown
}

func obj(d object, key string) object {
	if v := d.Get(key); v != nil && v.Type() == fastjson.TypeObject {
		return v
	}
	return nil
}

func objs(d object, key string) []object {
	list := d.GetArray(key)
	other := slices.IndexFunc(list, func(v object) bool { return v.Type() != fastjson.TypeObject })
	if other < 0 {
		return list // as nearly always; nobody writes to it
	}
	out := slices.Clone(list[:other])
	for _, v := range list[other:] {
		if v.Type() == fastjson.TypeObject {
			out = append(out, v)
		}
	}
	return out
}

func strs(d object, key string) []string {
	list := d.GetArray(key)
	if len(list) == 0 {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		if v.Type() == fastjson.TypeString {
			out = append(out, string(v.GetStringBytes()))
		}
	}
	return out
}

// holdsNodes reports whether a value of an unknown key could hold plan nodes.
func holdsNodes(v object) bool {
	switch v.Type() {
	case fastjson.TypeObject:
		return v.GetObject().Len() > 0
	case fastjson.TypeArray:
		for _, e := range v.GetArray() {
			if e.Type() == fastjson.TypeObject {
				return true
			}
		}
	}
	return false
}

// unread returns the keys, other than those, under which an object holds what could be plan nodes; in order.
func unread(d object, known ...string) []string {
	var keys []string
	d.GetObject().Visit(func(k []byte, v *fastjson.Value) {
		if holdsNodes(v) && !slices.Contains(known, string(k)) {
			keys = append(keys, string(k))
		}
	})
	slices.Sort(keys)
	return slices.Compact(keys)
}

// sorted returns an object's keys in order, so that the same document gives the same plan each time.
func sorted(d object) []string {
	o := d.GetObject()
	if o == nil {
		return nil
	}
	keys := make([]string, 0, o.Len())
	o.Visit(func(k []byte, _ *fastjson.Value) { keys = append(keys, string(k)) })
	slices.Sort(keys)
	return slices.Compact(keys)
}
