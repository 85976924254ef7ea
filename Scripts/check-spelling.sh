#!/usr/bin/env bash
# Fails on a British spelling in a tracked text file: sentences and names are in American English. Prints each place.
#
# "cancelled" and "cancelling" pass, as in Swift (`isCancelled`) and in the protocol (`task_cancelled`).
# Usage: Scripts/check-spelling.sh [FILE]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Whole words, the first letter lower-case; a word inside a name counts too, as in `isSignaled`.
words=(
  '(mis)?behaviour(s|al)?' 'colour(s|ed|ful|ing|less)?' 'endeavour(s|ed)?' 'favour(s|ed|ite|ites|able|ing)?' 'flavour(s|ed)?'
  'harbour(s|ed)?' 'honour(s|ed|ing)?' 'humour' 'labour(s|ed)?' 'neighbour(s|hood|ing)?' 'rumour(s)?' 'vapour'
  'calibre' 'centre(s|d)?' 'fibre(s)?' 'litre(s)?' 'metre(s)?' 'theatre(s)?'
  'defence(s)?' 'licence(s)?' 'offence(s)?' 'pretence'
  'channelled' 'fuelled' 'labelled' 'labelling' 'levelled' 'levelling' '(un)?marshalled' '(un)?marshalling' 'modelled' 'modelling'
  'signalled' 'signalling' 'totalled' 'travelled' 'traveller(s)?' 'travelling' 'tunnelled'
  '(re)?analyse(s|d|r|rs)?' 'analysing' 'catalyse(s|d)?' 'paralyse(s|d)?'
  'ageing' 'afterwards' 'amongst' 'artefact(s)?' 'catalogue(s|d)?' 'enrol(s)?' 'fulfil(s)?' 'fulfilment' 'grey(s|ed)?' 'judgement(s)?'
  'learnt' 'manoeuvre(s|d)?' 'programme(s)?' 'sceptic(s|al)?' 'skilful' 'spelt' 'storey(s)?' 'towards' 'whilst'
)
# With -ise, -isation and so on; only these, as "promise", "precise" or "otherwise" are no fault.
stems=(
  apolog author canonical capital categor central character critic custom digit emphas equal familiar final formal general global harmon
  ideal initial legal linear local material maxim memor minim mobil modern neutral normal optim organ parallel penal polar popular prior
  random real recogn regular sanit scrutin serial special stabil standard summar symbol synchron synthes tabular token trivial util vector
  virtual visual
)

# The alternatives, once with either case of the first letter and once with a capital one.
either=""
capital=""
add() {
  local word=$1 option
  # An optional prefix, such as (un|re)?, has the capital if it is there.
  if [[ $word =~ ^\(([a-z\|]+)\)\?(.*)$ ]]; then
    word=${BASH_REMATCH[2]}
    for option in $(tr '|' ' ' <<<"${BASH_REMATCH[1]}"); do add "$option$word"; done
  fi
  local first=${word:0:1} upper
  upper=$(tr '[:lower:]' '[:upper:]' <<<"$first")
  either+="|[$first$upper]${word:1}"
  capital+="|$upper${word:1}"
}
for word in "${words[@]}"; do add "$word"; done
for stem in "${stems[@]}"; do add "(un|re|de|pre)?${stem}is(e|ed|es|er|ers|ing|ation|ations|able)"; done
pattern="(^|[^[:alpha:]])(${either:1})([^[:lower:]]|\$)|[[:lower:]](${capital:1})([^[:lower:]]|\$)"

files=("$@")
if [ ${#files[@]} = 0 ]; then files=(.); fi
# This file lists the words.
found=$(git grep -noIE "$pattern" -- "${files[@]}" ':!Scripts/check-spelling.sh' || true)
if [ -n "$found" ]; then
  printf '%s\n' "$found" | sed -E 's/^([^:]*:[0-9]+):[^[:alpha:]]?([[:alpha:]]+).*$/\1: error: "\2" is British spelling/; s/"[a-z]([A-Z][a-z]+)/"\1/; s/([a-z])[A-Z]"/\1"/'
  exit 1
fi
echo "Spelling: American"
