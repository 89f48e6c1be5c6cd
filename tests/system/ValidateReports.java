import com.pixelmed.validate.DicomSRValidator;

/** Runs PixelMed's DicomSRValidator over the files given, in one virtual machine. */
public class ValidateReports {
  public static void main(String[] paths) throws Exception {
    DicomSRValidator validator = new DicomSRValidator();
    for (String path : paths) {
      System.out.println("FILE " + path);
      System.out.println(validator.validate(path));
      System.out.println("DONE " + path);
    }
  }
}
