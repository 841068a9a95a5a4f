import java.nio.file.*;
import java.security.PublicKey;
import java.security.cert.X509Certificate;
import javax.xml.crypto.*;
import javax.xml.crypto.dsig.*;
import javax.xml.crypto.dsig.dom.DOMValidateContext;
import javax.xml.crypto.dsig.keyinfo.*;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.*;

/** Says of every signature of every file in a folder whether it holds: "name true" or "name false", one line each. */
public class Check {
    public static void main(String[] arguments) throws Exception {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of(arguments[0]), "*.xml")) {
            for (Path file : files) {
                boolean holds;
                try {
                    holds = holds(file);
                } catch (Exception error) {
                    holds = false;
                }
                System.out.println(file.getFileName() + " " + holds);
            }
        }
    }

    static boolean holds(Path file) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        Document document = factory.newDocumentBuilder().parse(file.toFile());
        NodeList all = document.getElementsByTagName("*");
        for (int i = 0; i < all.getLength(); i++) {
            Element element = (Element) all.item(i);
            for (String name : new String[] {"Id", "ID", "id"}) {
                if (element.hasAttribute(name)) element.setIdAttribute(name, true);
            }
        }
        NodeList found = document.getElementsByTagNameNS(XMLSignature.XMLNS, "Signature");
        boolean holds = found.getLength() > 0;
        for (int i = 0; i < found.getLength(); i++) {
            DOMValidateContext context = new DOMValidateContext(new Selector(), found.item(i));
            context.setProperty("org.jcp.xml.dsig.secureValidation", false);
            holds &= XMLSignatureFactory.getInstance("DOM").unmarshalXMLSignature(context).validate(context);
        }
        return holds;
    }

    static class Selector extends KeySelector {
        public KeySelectorResult select(KeyInfo info, Purpose purpose, AlgorithmMethod method, XMLCryptoContext context) {
            for (Object content : info.getContent()) {
                if (!(content instanceof X509Data)) continue;
                for (Object one : ((X509Data) content).getContent()) {
                    if (one instanceof X509Certificate) {
                        PublicKey key = ((X509Certificate) one).getPublicKey();
                        return () -> key;
                    }
                }
            }
            return () -> null;
        }
    }
}
