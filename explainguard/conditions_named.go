package explainguard

// named is a small map in the order in which it was filled. Conditions speak of a few columns, for which this is cheaper than a map.
type named[V any] []namedValue[V]

type namedValue[V any] struct {
	name  string
	value V
}

// get returns the value of that name, and whether there is one.
func (n named[V]) get(name string) (V, bool) {
	for i := range n {
		if n[i].name == name {
			return n[i].value, true
		}
	}
	var none V
	return none, false
}

func (n *named[V]) set(name string, value V) {
	for i := range *n {
		if (*n)[i].name == name {
			(*n)[i].value = value
			return
		}
	}
	*n = append(*n, namedValue[V]{name, value})
}
