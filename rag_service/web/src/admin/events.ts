/** Something worth a short word at the edge of the screen. */
export class NoticeEvent extends Event {
  static readonly type = "rag-notice";

  constructor(readonly text: string) {
    super(NoticeEvent.type, { bubbles: true, composed: true });
  }
}
