// Package outbound delivers over HTTP with bounded patience, and makes errors that give nothing away: no URL, no token, no text of the other side.
package outbound
