# What the reader of a page has or has done before: functions that comments of pages call.

# Says where the walk is, so that a failure names its block.
at() { PLACE=$1; }
trap 'echo "walk: $PLACE: line $LINENO of the script ended with $?: $BASH_COMMAND" >&2' ERR

# A TPM with the certificates of its maker in ~/makers, which booted; its address, for settings, is in $TPM.
has_tpm() {
  local folder=${TPM_FOLDER:-$MACHINE/tpm}
  "$WALK_NODE" "$WALK/tpm.ts" "$folder" "$HOME/makers" > "$MACHINE/tpm.log" 2>&1 &
  until [ -s "$folder/address" ]; do kill -0 $! || { cat "$MACHINE/tpm.log" >&2; return 1; }; sleep 0.1; done
  export TPM=$(cat "$folder/address")
}

# Another TPM of the same maker; its address is in $SPARE.
has_spare_tpm() {
  local first=$TPM
  mkdir "$MACHINE/spare"
  ln -s "$MACHINE/tpm/vendor" "$MACHINE/spare/vendor"
  TPM_FOLDER=$MACHINE/spare has_tpm
  SPARE=$TPM TPM=$first
}

# A hub that runs, and the operator file of ada, an administrator.
has_hub() {
  edgekeep hub init --data /var/lib/edgekeep/hub --root-folder /media/root/edgekeep \
    --settings '{"names":["hub.example.net","hub"],"witness":{"tiers":["tpm","software"],"roundSeconds":1}}' > /dev/null
  edgekeep hub run --data /var/lib/edgekeep/hub > /dev/null
  edgekeep hub claim --operator /var/lib/edgekeep/hub/operator.json --name ada --out ada.json > /dev/null
  export EDGEKEEP_OPERATOR=$PWD/ada.json
}

# A publisher that the hub trusts.
has_publisher() {
  edgekeep model keygen --out publisher.pem > /dev/null
  edgekeep publisher trust publisher.pub.pem --name "our ML team" > /dev/null
}

# The stick that carries requests and certificates, without the files of the last ceremony.
has_empty_stick() { rm -rf /media/carry/*; }

# A token of SoftHSM2 with this label; its PIN is in the file `pin`.
has_token() {
  export SOFTHSM2_CONF=$MACHINE/softhsm.conf
  mkdir -p "$MACHINE/tokens"
  printf 'directories.tokendir = %s/tokens\nlog.level = ERROR\n' "$MACHINE" > "$SOFTHSM2_CONF"
  (umask 077; printf '654321\n' > pin)
  softhsm2-util --init-token --free --label "$1" --pin 654321 --so-pin 12345678 > /dev/null
}

# Ids as the reader sees them in the lists: `authority_that_is STATE CLASS`, `key_that_is STATE PURPOSE`, `root_that_is STATE`.
authority_that_is() { edgekeep authority list --json | jq -er ".issuing[] | select(.status == \"$1\" and .class == \"$2\").id"; }
key_that_is() { edgekeep authority keys --json | jq -er "[.keys[] | select(.status == \"$1\" and .purpose == \"$2\").id][0]"; }
root_that_is() { edgekeep authority list --json | jq -er ".roots[] | select(.status == \"$1\").sha256"; }

# A device with this id that serves the example's model under this name; its keys are in files, and the policy takes that.
has_serving_device() {
  local models=/opt/edgekeep/examples/surface-inspection/models
  has_publisher
  edgekeep model publish $models/primary.onnx --name "$2" --version 1.0.0 --key publisher.pem > /dev/null
  has_policy_for_software
  has_software_device "$1" /var/lib/edgekeep/agent --model "$2"
  serves "$2"
}

# The policy takes devices whose keys are in files.
has_policy_for_software() {
  cat > software.cedar <<'POLICY'
@id("software-too")
permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model)
when { context.attestation.instanceIdentity == 2 && context.attestation.status == "warning" };
POLICY
  edgekeep policy apply software.cedar > /dev/null
}

# An error answer is a failure of the page.
curl() { command curl --silent --show-error --fail-with-body "$@"; }

# Waits until the device serves this model.
serves() {
  until curl --unix-socket "/run/edgekeep/$1.sock" "http://localhost/v2/models/$1/ready" > /dev/null 2>&1; do sleep 0.5; done
}

# `has_software_device ID STATE OPTION…`: enrolled, and running.
has_software_device() {
  local id=$1 state=$2
  shift 2
  edgekeep enroll kit "$id" --out "$state" --software "$@" > /dev/null
  # Without --state it is the machine's agent, with its sockets in /run/edgekeep.
  if [ "$state" = /var/lib/edgekeep/agent ]; then edgekeep agent run; else edgekeep agent run --state "$state"; fi > /dev/null
}

# Ends the programs that run in the background, and their folder is gone.
has_lost_its_hub() {
  kill $(cat "$MACHINE/hub.pid")
  until ! kill -0 $(cat "$MACHINE/hub.pid") 2> /dev/null; do sleep 0.1; done
  rm -r /var/lib/edgekeep/hub
}

# Whose operator file the next commands use.
is_at_the_keyboard() { export EDGEKEEP_OPERATOR=$PWD/$1.json; }

# The newest request that waits for a second person, or a member of it.
the_request() { edgekeep approval list --json | jq -er ".approvals[0]$1"; }

# `agent.json` measures these folders of /opt/edgekeep as its stages, on the TPM of `has_tpm`.
has_stages() {
  local stages
  stages=$(for part in "$@"; do
    jq -n --arg part "$part" '{name: $part, folder: "/opt/edgekeep/\($part)", signature: "/opt/edgekeep/\($part).sigstore.json"}'
  done | jq -s .)
  jq --argjson stages "$stages" --arg tpm "$TPM" --arg log "$MACHINE/tpm/firmware.eventlog" \
    '.measuredStart = {keyFiles: ["publisher-1.pem"], firmwareLogFile: $log, stages: $stages} | .rootOfTrust = {kind: "tpm", address: $tpm}' \
    /var/lib/edgekeep/agent/agent.json > agent.json
  cp agent.json /var/lib/edgekeep/agent/agent.json
}
