// What a group of writes fails with when this process may write no more: its claim to be a node has ended.
export class FencedOut extends Error {}
