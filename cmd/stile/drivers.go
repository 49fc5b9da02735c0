package main

// The drivers that ship with the command.
import (
	_ "github.com/stilelock/stile/redislock"
	_ "github.com/stilelock/stile/sqlitelock"
	_ "github.com/stilelock/stile/zklock"
)
