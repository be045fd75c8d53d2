import { Component, memo, type ReactNode } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { isCheapMarkdown, webAddress } from '../text/markdown-guard.ts';
import { isSharedAddress, SharedLink } from './shared-link.tsx';

const plugins = [remarkGfm];

/** A link out of the app. Words without an address of the web are just words. */
export function OutLink(props: { href: string | null | undefined; children: ReactNode; className?: string }) {
  const { href, children, className } = props;
  const address = webAddress(href);
  if (address === undefined) return <span>{children}</span>;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer" className={className}>
      {children}
    </a>
  );
}

const components: Components = {
  a: ({ href, children }) =>
    href !== undefined && isSharedAddress(href) ? (
      <SharedLink address={href} words={children} inPlace={false} />
    ) : (
      <OutLink href={href}>{children}</OutLink>
    ),
  // Files that Claude shared are here; nothing is loaded from elsewhere: an image would tell its host who reads, and when.
  img: ({ src, alt }) =>
    typeof src === 'string' && isSharedAddress(src) ? (
      <SharedLink address={src} words={alt || 'image'} inPlace={true} />
    ) : (
      <OutLink href={typeof src === 'string' ? src : null}>{alt || 'image'}</OutLink>
    ),
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
 * Untrusted Markdown: no markup of its own, no foreign images, links to the web and to shared files only; plain where parsing it would take
 * long. Drawn once for the same text.
 */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  if (!isCheapMarkdown(text)) return <pre className="plain">{text}</pre>;
  return (
    <PlainOnFailure text={text}>
      <ReactMarkdown
        remarkPlugins={plugins}
        components={components}
        urlTransform={(url) => webAddress(url) ?? (isSharedAddress(url) ? url : '')}
      >
        {text}
      </ReactMarkdown>
    </PlainOnFailure>
  );
});
