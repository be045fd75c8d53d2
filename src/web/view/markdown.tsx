import { Component, memo, type ReactNode } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { isCheapMarkdown } from '../text/markdown-cost.ts';
import { webAddress } from '../text/web-address.ts';

const plugins = [remarkGfm];

/** A link out of the app. Words without an address of the web are just words. */
export function OutLink({ href, children }: { href: string | null | undefined; children: ReactNode }) {
  const address = webAddress(href);
  if (address === undefined) return <span>{children}</span>;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}

const components: Components = {
  a: ({ href, children }) => <OutLink href={href}>{children}</OutLink>,
  // Nothing is loaded from elsewhere: an image would tell its host who reads, and when.
  img: ({ src, alt }) => <OutLink href={typeof src === 'string' ? src : null}>{alt || 'image'}</OutLink>,
  table: ({ children }) => (
    <div className="table-scroll">
      <table>{children}</table>
    </div>
  ),
};

/** Text that cannot be drawn as Markdown (nested absurdly deep, say) is drawn as it is. */
class PlainOnFailure extends Component<{ text: string; children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? <pre className="plain">{this.props.text}</pre> : this.props.children;
  }
}

/**
 * Untrusted Markdown: no markup of its own, no foreign images, links to the web only; plain where parsing it would take
 * long. Drawn once for the same text.
 */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  if (!isCheapMarkdown(text)) return <pre className="plain">{text}</pre>;
  return (
    <PlainOnFailure text={text}>
      <ReactMarkdown remarkPlugins={plugins} components={components} urlTransform={(url) => webAddress(url) ?? ''}>
        {text}
      </ReactMarkdown>
    </PlainOnFailure>
  );
});
