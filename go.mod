module github.com/stilelock/stile

go 1.25.0
